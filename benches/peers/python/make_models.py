"""Writes the models that all systems run. `real` is the repository's model, converted from its int8
file to f32. `random` has random weights. Each folder contains:

    config.json, model.safetensors, vocab.txt   Hugging Face's layout
    f32-plain.onnx     as an exporter writes it
    f32-fused.onnx     after onnxruntime.transformers.optimizer
    f32-*-cut.onnx     both with a last layer that computes only what a classifier reads
    int8-*.onnx        all four after quantize_dynamic: int8 weights, one scale per channel
    model.electra      the same model for electra-edge

    python make_models.py ROOT FOLDER ELECTRA
"""

import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.transformers import optimizer
from safetensors.numpy import save_file

import electra_file
import onnx_graph
import random_weights

DONE = "complete"


def main():
    root, folder, electra = (Path(argument) for argument in sys.argv[1:4])
    logging.disable(logging.WARNING)
    model = root / "models/electra-small-sentiment"
    made = folder / "real"
    if not (made / DONE).exists():
        config, tensors = electra_file.read(model / "model.electra")
        write(made, config, tensors, model / "vocab.txt")
        shutil.copyfile(model / "model.electra", made / "model.electra")
        (made / DONE).touch()
    made = folder / "random"
    if not (made / DONE).exists():
        write(made, random_weights.CONFIG, random_weights.tensors(), model / "vocab.txt")
        subprocess.run([electra, "pack", made, "-o", made / "model.electra"], check=True, stdout=subprocess.DEVNULL)
        (made / DONE).touch()


def write(folder, config, tensors, vocabulary):
    print(f"making {folder.name}", file=sys.stderr)
    folder.mkdir(parents=True, exist_ok=True)
    write_hugging_face(folder, config, tensors)
    shutil.copyfile(vocabulary, folder / "vocab.txt")
    for suffix, cut in (("", False), ("-cut", True)):
        plain, fused = folder / f"f32-plain{suffix}.onnx", folder / f"f32-fused{suffix}.onnx"
        onnx.save(onnx_graph.Graph(config, tensors, cut).build(), plain)
        heads, hidden = config["num_attention_heads"], config["hidden_size"]
        optimized = optimizer.optimize_model(str(plain), "bert", num_heads=heads, hidden_size=hidden, opt_level=0)
        optimized.save_model_to_file(str(fused))
        counts = {kind: count for kind, count in optimized.get_fused_operator_statistics().items() if count}
        print(f"  {fused.name}: {counts}", file=sys.stderr)
        for source in (plain, fused):
            quantize(source, folder / source.name.replace("f32", "int8"))


def quantize(source, target):
    # Shape inference does not know the output types of ONNX Runtime's own operators.
    options = {"DefaultTensorType": onnx.TensorProto.FLOAT}
    quantize_dynamic(str(source), str(target), weight_type=QuantType.QInt8, per_channel=True, extra_options=options)


def write_hugging_face(folder, config, tensors):
    names = dict(enumerate(config["labels"]))
    fields = {key: value for key, value in config.items() if key != "labels"}
    fields |= {
        "architectures": ["ElectraForSequenceClassification"],
        "model_type": "electra",
        "hidden_act": "gelu",
        "id2label": names,
        "label2id": {label: index for index, label in names.items()},
    }
    (folder / "config.json").write_text(json.dumps(fields, indent=2))
    save_file({name: tensor.copy() for name, tensor in tensors.items()}, folder / "model.safetensors")


main()
