"""Compares `electra_edge.pipeline` with the real `transformers.pipeline` on the same model."""

import pytest
from conftest import MODELS, TEXTS

import electra_edge

transformers = pytest.importorskip("transformers")

# Differences of the probabilities between int8 and f32.
TOLERANCE = 0.1


@pytest.fixture(scope="module")
def ours():
    return electra_edge.pipeline("sentiment-analysis")


@pytest.fixture(scope="module")
def theirs():
    folder = str(MODELS / "electra-small-sentiment")
    # Without this length, `truncation` has no effect in transformers.
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, model_max_length=512)
    return transformers.pipeline(
        "sentiment-analysis", model=folder, tokenizer=tokenizer, device="cpu", dtype="float32"
    )


def compare(found, expected):
    """Compares shapes, keys, order and labels, and scores within the tolerance."""
    assert type(found) is type(expected)
    if isinstance(expected, list):
        assert len(found) == len(expected)
        for pair in zip(found, expected):
            compare(*pair)
    else:
        assert list(found) == list(expected)
        if abs(expected["score"] - 0.5) > TOLERANCE:
            assert found["label"] == expected["label"]
            assert found["score"] == pytest.approx(expected["score"], abs=TOLERANCE)


CALLS = [
    (TEXTS[0], {}),
    ([TEXTS[0]], {}),
    (TEXTS, {}),
    (TEXTS, {"batch_size": 4}),
    (TEXTS[0], {"top_k": 1}),
    (TEXTS[0], {"top_k": None}),
    (TEXTS[0], {"top_k": 2}),
    (TEXTS[0], {"top_k": 10}),
    (TEXTS[:3], {"top_k": None}),
    (TEXTS[:3], {"top_k": 1}),
    ("word " * 1000, {"truncation": True}),
    ({"text": TEXTS[0]}, {}),
    ([{"text": TEXTS[0]}, {"text": TEXTS[1]}], {}),
]


@pytest.mark.parametrize("inputs, arguments", CALLS)
def test_calls_return_what_transformers_returns(ours, theirs, inputs, arguments):
    compare(ours(inputs, **arguments), theirs(inputs, **arguments))


def test_no_texts_have_no_answers(ours):
    assert ours([]) == [] and list(ours(text for text in [])) == []


def test_generators_give_iterators(ours, theirs):
    def texts():
        yield from TEXTS

    found, expected = ours(texts(), batch_size=3), theirs(texts(), batch_size=3)
    assert iter(found) is not None and not isinstance(found, list)
    compare(list(found), list(expected))


def test_a_generator_is_read_as_far_as_needed(ours):
    read = []

    def texts():
        for text in TEXTS:
            read.append(text)
            yield text

    results = ours(texts(), batch_size=2)
    assert read == []
    next(results)
    assert len(read) == 2


def test_top_k_of_the_pipeline(theirs):
    folder = str(MODELS / "electra-small-sentiment")
    expected = transformers.pipeline("text-classification", model=folder, top_k=None, dtype="float32")
    found = electra_edge.pipeline("text-classification", top_k=None)
    compare(found(TEXTS[0]), expected(TEXTS[0]))
    compare(found(TEXTS[:2]), expected(TEXTS[:2]))


def test_replaced_tokens_have_the_shape_of_token_classification(detector_model):
    detect = electra_edge.pipeline("replaced-token-detection", model=detector_model)
    text = "He was born in of 1952 and moved to Paris."
    found = detect(text)
    replaced = [token for token in found if token["entity"] == "REPLACED"]
    assert [text[token["start"] : token["end"]] for token in replaced] == ["in", "of"]
    assert list(replaced[0]) == ["entity", "score", "index", "word", "start", "end"]
    assert detect([text]) == [found]
    assert list(detect(text for _ in range(2))) == [found, found]


def test_wrong_arguments_are_named(tmp_path):
    with pytest.raises(ValueError, match="task is 'translation', expected 'sentiment-analysis'"):
        electra_edge.pipeline("translation")
    with pytest.raises(ValueError, match="device is 'cuda', expected 'cpu'"):
        electra_edge.pipeline("sentiment-analysis", device="cuda")
    with pytest.raises(ValueError, match="is a folder, expected a model file; make one with"):
        electra_edge.pipeline("sentiment-analysis", model=tmp_path)
    with pytest.raises(FileNotFoundError):
        electra_edge.pipeline("sentiment-analysis", model="no-such-model")
    classify = electra_edge.pipeline("sentiment-analysis")
    with pytest.raises(ValueError, match="top_k is 0"):
        classify("good", top_k=0)
    with pytest.raises(TypeError, match="inputs is NoneType, expected a str or a list of str"):
        classify(None)
    with pytest.raises(TypeError, match="inputs is bytes"):
        classify(b"good")
    with pytest.raises(ValueError, match="batch_size is 0"):
        classify(["good"], batch_size=0)
    with pytest.raises(TypeError, match="topk"):
        electra_edge.pipeline("sentiment-analysis", topk=2)
    with pytest.raises(ValueError, match="expected only 'text'"):
        classify({"text": "good", "text_pair": "bad"})
    with pytest.raises(TypeError, match=r"inputs\[0\] is int, expected str"):
        classify([3])
