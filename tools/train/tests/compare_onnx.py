"""Compares an ONNX file of `electra-train export-onnx`, run by ONNX Runtime, with the logits of
another implementation.

    compare_onnx.py MODEL.onnx EXPECTED.jsonl [TOLERANCE]
    compare_onnx.py MODEL.onnx OTHER.onnx [TOLERANCE]

Lines of EXPECTED have `input_ids` and `logits`. OTHER is a file of another exporter, which computes
the logits of texts of up to 32 random ids below 96. Every text runs alone, and again padded in a
batch with others. Fails if a logit differs by more than TOLERANCE. Needs numpy, onnx and
onnxruntime.
"""

import json
import sys

import numpy
import onnx
import onnxruntime

BATCH = 16


def logits(session, texts):
    """Returns one array per text: `[labels]` or `[tokens]`."""
    longest = max(len(ids) for ids in texts)
    ids, mask = (numpy.zeros((len(texts), longest), numpy.int64) for _ in range(2))
    for row, text in enumerate(texts):
        ids[row, : len(text)] = text
        mask[row, : len(text)] = 1
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": numpy.zeros_like(ids)}
    (found,) = session.run(["logits"], inputs)
    of_tokens = session.get_outputs()[0].shape[1] == "sequence"
    return [row[: len(text)] if of_tokens else row for row, text in zip(found, texts)]


def cases_of(expected):
    if not expected.endswith(".onnx"):
        with open(expected, encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]
    session = onnxruntime.InferenceSession(expected, providers=["CPUExecutionProvider"])
    random = numpy.random.default_rng(1)
    texts = [random.integers(0, 96, length).tolist() for length in range(2, 33)]
    names = {given.name for given in session.get_inputs()}
    cases = []
    for ids in texts:
        given = {"input_ids": [ids], "attention_mask": [[1] * len(ids)], "token_type_ids": [[0] * len(ids)]}
        given = {name: numpy.array(values, numpy.int64) for name, values in given.items() if name in names}
        cases.append({"input_ids": ids, "logits": session.run(None, given)[0][0].tolist()})
    return cases


def main(model, expected, tolerance=1e-4):
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    cases = cases_of(expected)
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
