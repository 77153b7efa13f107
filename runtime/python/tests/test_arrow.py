import resource

import pyarrow
import pytest
from conftest import TEXTS

from electra_edge import Classifier


@pytest.fixture(scope="module")
def classifier():
    return Classifier()


@pytest.mark.parametrize("layout", [pyarrow.string(), pyarrow.large_string(), pyarrow.string_view()])
def test_arrow_texts_get_the_answers_of_a_list(classifier, layout):
    texts = [*TEXTS[:3], None, *TEXTS[3:]]
    expected = classifier.classify_batch(texts)
    array = pyarrow.array(texts, layout)
    assert classifier.classify_batch(array) == expected
    assert classifier.classify_batch(array[2:]) == expected[2:]
    chunks = pyarrow.chunked_array([array[:3], array[3:3], array[3:]])
    assert classifier.classify_batch(chunks) == expected
    assert classifier.classify_batch(pyarrow.chunked_array([], layout)) == []


def test_arrow_answers_are_a_record_batch(classifier):
    texts = pyarrow.array([TEXTS[0], None, TEXTS[1]])
    answers = pyarrow.record_batch(classifier.classify_arrow(texts))
    assert answers.schema.names == ["label", "score", "scores"]
    expected = classifier.classify_batch(texts)
    assert answers["label"].to_pylist() == [answer and answer.label for answer in expected]
    assert answers["score"].to_pylist() == [answer and answer.score for answer in expected]
    for scores, answer in zip(answers["scores"].to_pylist(), expected):
        assert scores == (answer and {label: answer.scores[label] for label in classifier.labels})
    assert [answers[name].null_count for name in answers.schema.names] == [1, 1, 1]
    frame = answers.to_pandas()
    assert list(frame.columns) == ["label", "score", "scores"] and len(frame) == 3


def test_a_column_without_texts_has_no_answers(classifier):
    assert classifier.classify_batch(pyarrow.nulls(3)) == [None, None, None]


def test_other_arrow_types_are_refused(classifier):
    for array in (pyarrow.array([1, 2]), pyarrow.array(["a"]).dictionary_encode()):
        with pytest.raises(TypeError, match="expected strings; convert it"):
            classifier.classify_batch(array)
    with pytest.raises(TypeError, match="texts is a table, expected one column"):
        classifier.classify_batch(pyarrow.table({"text": ["a"]}))


def test_text_that_is_not_utf8_is_refused(classifier):
    buffers = [None, pyarrow.array([0, 2], pyarrow.int32()).buffers()[1], pyarrow.py_buffer(b"\xff\xfe")]
    broken = pyarrow.Array.from_buffers(pyarrow.string(), 1, buffers)
    with pytest.raises(ValueError, match="UTF-?8|utf-?8"):
        classifier.classify_batch(broken)


def test_a_stream_that_fails_is_an_error(classifier):
    def batches():
        raise ValueError("the disk is on fire")
        yield

    schema = pyarrow.schema({"text": pyarrow.string()})
    reader = pyarrow.RecordBatchReader.from_batches(schema, batches())
    with pytest.raises(ValueError, match="the Arrow stream failed: .*the disk is on fire"):
        classifier.classify_batch(reader)


def test_the_texts_are_not_copied():
    classifier = Classifier(max_tokens=8, truncate=True)
    text = "word " * 20_000_000
    array = pyarrow.array([text])

    def growth(texts):
        """Returns by how much the call raised the peak of the process's memory, in bytes."""
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        [answer] = classifier.classify_batch(texts)
        assert answer.truncated
        return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024

    assert growth(array) < len(text) / 4
    # The measure sees a copy: a str is encoded to UTF-8.
    assert growth([text]) > len(text) / 2
