"""Makes an ELECTRA-Small classifier with random weights. The time of a run does not depend on the
values of the weights."""

import numpy as np

CONFIG = {
    "vocab_size": 30522,
    "embedding_size": 128,
    "hidden_size": 256,
    "num_hidden_layers": 12,
    "num_attention_heads": 4,
    "intermediate_size": 1024,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "labels": ["NEGATIVE", "POSITIVE"],
}


def tensors():
    random = np.random.default_rng(20)
    result = {}

    def normal(name, shape, deviation):
        result[name] = random.normal(0, deviation, shape).astype(np.float32)

    def linear(name, inputs, outputs):
        normal(f"{name}.weight", (outputs, inputs), 1.2 / np.sqrt(inputs))
        normal(f"{name}.bias", (outputs,), 0.05)

    def norm(name, width):
        result[f"{name}.weight"] = random.uniform(0.8, 1.2, width).astype(np.float32)
        normal(f"{name}.bias", (width,), 0.05)

    embedding, hidden, inner = CONFIG["embedding_size"], CONFIG["hidden_size"], CONFIG["intermediate_size"]
    prefix = "electra.embeddings"
    for name, count in (("word", "vocab_size"), ("position", "max_position_embeddings"), ("token_type", "type_vocab_size")):
        normal(f"{prefix}.{name}_embeddings.weight", (CONFIG[count], embedding), 0.05)
    norm(f"{prefix}.LayerNorm", embedding)
    linear("electra.embeddings_project", embedding, hidden)
    for layer in range(CONFIG["num_hidden_layers"]):
        prefix = f"electra.encoder.layer.{layer}"
        for name in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"):
            linear(f"{prefix}.{name}", hidden, hidden)
        norm(f"{prefix}.attention.output.LayerNorm", hidden)
        linear(f"{prefix}.intermediate.dense", hidden, inner)
        linear(f"{prefix}.output.dense", inner, hidden)
        norm(f"{prefix}.output.LayerNorm", hidden)
    linear("classifier.dense", hidden, hidden)
    linear("classifier.out_proj", hidden, 2)
    return result
