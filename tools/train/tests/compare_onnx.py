"""Compares an ONNX file of `electra-train export-onnx`, run by ONNX Runtime, with logits that another implementation computed.

    compare_onnx.py MODEL.onnx EXPECTED.jsonl [TOLERANCE]

Lines of EXPECTED have `input_ids` and `logits`. Every text runs alone and again padded, in a batch with the others. Fails
where a logit differs by more than TOLERANCE; needs numpy, onnx and onnxruntime.
"""

import json
import sys

import numpy
import onnx
import onnxruntime

BATCH = 16


def logits(session, texts):
    """One array a text: `[labels]` or `[tokens]`."""
    longest = max(len(ids) for ids in texts)
    ids, mask = (numpy.zeros((len(texts), longest), numpy.int64) for _ in range(2))
    for row, text in enumerate(texts):
        ids[row, : len(text)] = text
        mask[row, : len(text)] = 1
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": numpy.zeros_like(ids)}
    (found,) = session.run(["logits"], inputs)
    of_tokens = session.get_outputs()[0].shape[1] == "sequence"
    return [row[: len(text)] if of_tokens else row for row, text in zip(found, texts)]


def main(model, expected, tolerance=1e-4):
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    with open(expected, encoding="utf-8") as lines:
        cases = [json.loads(line) for line in lines]
    alone = padded = flips = 0
    for start in range(0, len(cases), BATCH):
        batch = cases[start : start + BATCH]
        texts = [case["input_ids"] for case in batch]
        for case, together in zip(batch, logits(session, texts)):
            wanted = numpy.array(case["logits"])
            (single,) = logits(session, [case["input_ids"]])
            alone = max(alone, numpy.abs(single - wanted).max())
            padded = max(padded, numpy.abs(together - wanted).max())
            flips += int(single.argmax() != wanted.argmax())
    print(f"{len(cases)} texts: logits differ by {alone:.2e} alone, {padded:.2e} in batches; {flips} flips")
    return 0 if max(alone, padded) <= float(tolerance) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
