"""Quantizes the graphs of a model for OpenVINO with NNCF, OpenVINO's own tool. All matrix products
get int8 weights with one scale per channel and static int8 activations. NNCF runs calibration texts
to find the ranges of activations, and moves outliers of activations into the weights (SmoothQuant).
The files are int8-PRESET-plain.xml and int8-PRESET-plain-cut.xml. With the preset `performance` all
activations are symmetric, with `mixed` some are asymmetric.

    python openvino_model.py FOLDER CALIBRATION

CALIBRATION is a JSON file: a list of sequences of token ids. Nothing happens if FOLDER has the files
for the same sequences.
"""

import json
import logging
import os
import sys
from pathlib import Path

import numpy as np
import openvino

from runner_openvino import INPUTS

GRAPHS = ("plain", "plain-cut")
DONE = "calibration.json"


def main():
    folder, calibration = Path(sys.argv[1]), Path(sys.argv[2]).read_text()
    done = folder / DONE
    if done.exists() and done.read_text() == calibration:
        return
    print(f"quantizing {folder.name} for OpenVINO", file=sys.stderr)
    quantize_all(folder, json.loads(calibration))
    done.write_text(calibration)


def quantize_all(folder, sequences):
    # Otherwise NNCF reports its use to its makers. It reads the variable when it is imported.
    os.environ["NNCF_CI"] = "1"
    import nncf

    logging.disable(logging.WARNING)
    for preset in nncf.QuantizationPreset:
        for graph in GRAPHS:
            quantized = nncf.quantize(
                openvino.Core().read_model(folder / f"f32-{graph}.onnx"),
                nncf.Dataset(sequences, feed),
                preset=preset,
                subset_size=len(sequences),
                model_type=nncf.ModelType.TRANSFORMER,
            )
            openvino.save_model(quantized, folder / f"int8-{preset.value}-{graph}.xml", compress_to_fp16=False)


def feed(ids):
    row = np.array([ids], np.int64)
    return dict(zip(INPUTS, (row, np.ones_like(row), np.zeros_like(row)), strict=True))


main()
