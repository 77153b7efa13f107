"""Writes the encoder of an ELECTRA classifier as a model of CTranslate2 with int8 weights.

The encoder of CTranslate2 has the layers of BERT. Two parts of ELECTRA are missing:

- The projection from the embedding size to the hidden size, which follows the LayerNorm of the
  embeddings. It cannot be folded into the tables of embeddings, because the LayerNorm lies between.
  The result of the whole embedding block depends only on token id and position, though. It is
  computed in advance for all pairs of id and position that the measurements use, and these rows are
  the embeddings of CTranslate2's model. Its encoder then adds a table of positions, whose values are
  zero.
- The head. `around_encoder.py` computes it in numpy.
"""

import json
import shutil

import numpy as np
from ctranslate2 import specs
from safetensors.numpy import load_file

from around_encoder import HEAD, PAIRS


def write(folder, target, sequences):
    """Writes the model of `folder` to `target`, for `sequences` of token ids."""
    config, tensors = json.loads((folder / "config.json").read_text()), load_file(folder / "model.safetensors")
    pairs = sorted({(token, position) for ids in sequences for position, token in enumerate(ids)})
    pairs = np.array(pairs, np.int64)
    spec = encoder_spec(config, tensors, embedding_block(config, tensors, pairs))
    spec.register_vocabulary([f"{token}@{position}" for token, position in pairs])
    spec.config.unk_token = "unknown"
    spec.config.layer_norm_epsilon = config["layer_norm_eps"]
    spec.validate()
    spec.optimize(quantization="int8")
    if target.exists():
        shutil.rmtree(target)
    target.mkdir()
    spec.save(str(target))
    np.save(target / PAIRS, pairs)
    np.savez(target / HEAD, **{name: tensor for name, tensor in tensors.items() if name.startswith("classifier.")})


def embedding_block(config, tensors, pairs):
    """Returns word, position and type embeddings after LayerNorm and projection: [pairs, hidden]."""
    prefix = "electra.embeddings"
    rows = tensors[f"{prefix}.word_embeddings.weight"][pairs[:, 0]]
    rows = rows + tensors[f"{prefix}.position_embeddings.weight"][pairs[:, 1]]
    rows += tensors[f"{prefix}.token_type_embeddings.weight"][0]
    rows -= rows.mean(axis=1, keepdims=True)
    rows /= np.sqrt((rows * rows).mean(axis=1, keepdims=True) + config["layer_norm_eps"])
    rows = rows * tensors[f"{prefix}.LayerNorm.weight"] + tensors[f"{prefix}.LayerNorm.bias"]
    return rows @ tensors["electra.embeddings_project.weight"].T + tensors["electra.embeddings_project.bias"]


def encoder_spec(config, tensors, embeddings):
    layers, heads = config["num_hidden_layers"], config["num_attention_heads"]
    activation = specs.common_spec.Activation.GELU
    encoder = specs.TransformerEncoderSpec(layers, heads, pre_norm=False, activation=activation)
    encoder.scale_embeddings = False
    encoder.embeddings[0].weight = embeddings
    encoder.position_encodings.encodings = np.zeros((config["max_position_embeddings"], config["hidden_size"]), np.float32)

    def linear(spec, *names):
        spec.weight = np.concatenate([tensors[f"{name}.weight"] for name in names])
        spec.bias = np.concatenate([tensors[f"{name}.bias"] for name in names])

    def norm(spec, name):
        spec.gamma, spec.beta = tensors[f"{name}.weight"], tensors[f"{name}.bias"]

    for index, layer in enumerate(encoder.layer):
        prefix = f"electra.encoder.layer.{index}"
        attention = f"{prefix}.attention"
        linear(layer.self_attention.linear[0], *(f"{attention}.self.{name}" for name in ("query", "key", "value")))
        linear(layer.self_attention.linear[1], f"{attention}.output.dense")
        norm(layer.self_attention.layer_norm, f"{attention}.output.LayerNorm")
        linear(layer.ffn.linear_0, f"{prefix}.intermediate.dense")
        linear(layer.ffn.linear_1, f"{prefix}.output.dense")
        norm(layer.ffn.layer_norm, f"{prefix}.output.LayerNorm")
    return specs.TransformerEncoderModelSpec(encoder)
