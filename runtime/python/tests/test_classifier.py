import copy
import multiprocessing
import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
import time

import numpy
import pandas
import pytest
from conftest import MODELS, TEXTS

import electra_edge
from electra_edge import Classifier


@pytest.fixture(scope="module")
def classifier():
    return Classifier()


def bits(number):
    return struct.pack("f", number)


@pytest.mark.parametrize("engine", electra_edge.ENGINES)
@pytest.mark.parametrize("threads", [None, 1, 2])
def test_answers_have_the_bits_of_the_command(command, engine, threads):
    rows = command("classify", TEXTS)
    classifier = Classifier(engine=engine, threads=threads)
    assert classifier.engine == engine
    batch = classifier.classify_batch(TEXTS)
    for row, text, answer in zip(rows, TEXTS, batch):
        single = classifier.classify(text)
        assert single == answer
        assert (answer.label, answer.tokens, answer.windows) == (row["label"], row["tokens"], row["windows"])
        assert bits(answer.score) == bits(row["score"])
        assert [label for label in answer.scores] == [entry["label"] for entry in row["scores"]]
        for entry in row["scores"]:
            assert bits(answer.scores[entry["label"]]) == bits(entry["score"])


def test_texts_of_all_kinds_get_the_same_answers(classifier):
    expected = classifier.classify_batch(TEXTS)
    for texts in (
        tuple(TEXTS),
        (text for text in TEXTS),
        numpy.array(TEXTS),
        numpy.array(TEXTS, dtype=object),
        numpy.array(TEXTS, dtype=numpy.dtypes.StringDType()),
        pandas.Series(TEXTS),
        pandas.Series(TEXTS, dtype=object),
        pandas.Series(TEXTS, dtype="string"),
    ):
        assert classifier.classify_batch(texts) == expected
    assert classifier.classify_batch([]) == []


def test_missing_texts_have_no_answer(classifier):
    for texts in (
        ["good", None, "bad"],
        pandas.Series(["good", None, "bad"]),
        pandas.Series(["good", None, "bad"], dtype=object),
        numpy.array(["good", float("nan"), "bad"], dtype=object),
        ["good", pandas.NA, "bad"],
    ):
        answers = classifier.classify_batch(texts)
        assert [answer and answer.label for answer in answers] == ["POSITIVE", None, "NEGATIVE"]


def test_wrong_texts_are_named(classifier):
    with pytest.raises(TypeError, match=r"texts\[1\] is int, expected str"):
        classifier.classify_batch(["good", 3])
    with pytest.raises(TypeError, match="texts is a str, expected a list of str"):
        classifier.classify_batch("good")
    with pytest.raises(TypeError, match="texts is a dict, expected a list of str"):
        classifier.classify_batch({"text": "good"})
    with pytest.raises(TypeError, match="texts is int, expected an iterable"):
        classifier.classify_batch(3)
    with pytest.raises(TypeError):
        classifier.classify(b"good")
    with pytest.raises(ValueError, match=r"texts\[0\]: .*surrogates"):
        classifier.classify_batch(["\ud800"])


def test_errors_are_exceptions_with_the_text_of_the_command(tmp_path, detector_model):
    damaged = tmp_path / "damaged.electra"
    damaged.write_bytes(b"not a model" * 100)
    cases = [
        (FileNotFoundError, {"path": tmp_path / "absent"}, "absent: No such file"),
        (electra_edge.ModelError, {"path": damaged}, "damaged.electra: "),
        (electra_edge.ModelError, {"path": detector_model}, "expected one for classification"),
        (OSError, {"path": tmp_path}, "is a directory, expected a model file"),
        (ValueError, {"max_tokens": 2}, "max_tokens is 2, expected 3 to 512"),
        (ValueError, {"arena_bytes": 1000, "max_tokens": 128}, "1000"),
        (ValueError, {"threads": 0}, "threads is 0, expected at least 1"),
        (ValueError, {"arena_bytes": -1}, "arena_bytes is -1, expected at least 1"),
        (ValueError, {"engine": "onnx"}, 'engine is "onnx", expected'),
        (ValueError, {"without": ["SAD"]}, "label SAD cannot be left out"),
        (ValueError, {"min_score": 1.5}, "min_score is 1.5, expected 0 to 1"),
        (ValueError, {"min_score": float("nan")}, "min_score is NaN, expected 0 to 1"),
    ]
    for exception, arguments, message in cases:
        with pytest.raises(exception) as raised:
            Classifier(**arguments)
        assert message in str(raised.value), arguments
    assert issubclass(electra_edge.ModelError, ValueError)


def test_the_arena_has_the_size_that_footprint_says():
    needed = electra_edge.footprint(max_tokens=128)["arena_bytes"]
    assert needed == 300_096
    assert Classifier(max_tokens=128).arena_bytes == needed
    classifier = Classifier(max_tokens=128, arena_bytes=needed)
    assert classifier.classify_batch(TEXTS) == Classifier().classify_batch(TEXTS)
    with pytest.raises(ValueError, match=str(needed)):
        Classifier(max_tokens=128, arena_bytes=needed - 1)


def test_more_threads_than_can_share_a_text():
    classifier = Classifier(threads=16)
    assert classifier.classify_batch(TEXTS) == [classifier.classify(text) for text in TEXTS]


def test_long_texts_are_windows_or_cut():
    text = "The first act is slow, but the second one is a joy. " * 100
    whole = Classifier(max_tokens=64).classify(text)
    cut = Classifier(max_tokens=64, truncate=True).classify(text)
    assert whole.windows > 10 and not whole.truncated
    assert (cut.windows, cut.tokens, cut.truncated) == (1, 62, True)


def test_objects_can_be_pickled_and_copied(tmp_path):
    original = Classifier(MODELS / "electra-small-sentiment" / "model.electra", max_tokens=32, threads=1)
    for copied in (pickle.loads(pickle.dumps(original)), copy.copy(original)):
        assert (copied.path, copied.max_tokens) == (original.path, 32)
        assert copied.classify(TEXTS[0]) == original.classify(TEXTS[0])
    answer = original.classify(TEXTS[0])
    for copied in (pickle.loads(pickle.dumps(answer)), copy.deepcopy(answer)):
        assert copied == answer and copied.scores == answer.scores
    assert Classifier().path is None


def test_a_low_score_is_unsure():
    sure = Classifier().classify(TEXTS[0])
    limited = Classifier(min_score=min(sure.score + 1e-3, 1.0))
    unsure = limited.classify(TEXTS[0])
    assert (unsure.label, unsure.unsure, sure.unsure) == ("UNSURE", True, False)
    assert (unsure.score, unsure.scores) == (sure.score, sure.scores)
    assert limited.classify_batch([TEXTS[0]]) == [unsure]
    for copied in (pickle.loads(pickle.dumps(unsure)), pickle.loads(pickle.dumps(limited)).classify(TEXTS[0])):
        assert (copied, copied.label) == (unsure, "UNSURE")
    classify = electra_edge.pipeline("sentiment-analysis", min_score=min(sure.score + 1e-3, 1.0))
    assert classify(TEXTS[0]) == [{"label": "UNSURE", "score": sure.score}]
    assert [entry["label"] for entry in classify(TEXTS[0], top_k=2)] == ["UNSURE", sure.label]


# The processes of a pool inherit it, or open their own.
SHARED = Classifier(threads=2)


def label(text):
    return SHARED.classify(text).label


def label_with(pair):
    classifier, text = pair
    return classifier.classify(text).label


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_of_multiprocessing_answer(method):
    expected = [label(text) for text in TEXTS[:4]]
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map_async(label, TEXTS[:4]).get(timeout=60) == expected
        answers = pool.map_async(SHARED.classify, TEXTS[:4]).get(timeout=60)
        assert answers == [SHARED.classify(text) for text in TEXTS[:4]]
        pairs = [(SHARED, text) for text in TEXTS[:4]]
        assert pool.map_async(label_with, pairs).get(timeout=60) == expected


def test_several_threads_use_one_classifier(classifier):
    expected = classifier.classify_batch(TEXTS)
    failures = []

    def work():
        for _ in range(5):
            if [classifier.classify(text) for text in TEXTS] != expected:
                failures.append("single")
            if classifier.classify_batch(TEXTS) != expected:
                failures.append("batch")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_other_threads_run_during_a_batch(classifier):
    finished = threading.Event()

    def work():
        classifier.classify_batch(TEXTS * 40)
        finished.set()

    thread = threading.Thread(target=work)
    thread.start()
    rounds = 0
    while not finished.is_set():
        rounds += 1
        time.sleep(0.001)
    thread.join()
    assert rounds > 20


@pytest.mark.parametrize("threads", [1, 2])
def test_control_c_interrupts_a_batch(threads):
    program = (
        "import electra_edge, signal\n"
        # A process in the background may have inherited that the signal is ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"classifier = electra_edge.Classifier(threads={threads})\n"
        "print('ready', flush=True)\n"
        "try:\n"
        "    classifier.classify_batch(['word ' * 400] * 20000)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.5)
        start = time.monotonic()
        child.send_signal(signal.SIGINT)
        assert child.communicate(timeout=30)[0] == "interrupted\n"
        assert time.monotonic() - start < 5
    finally:
        child.kill()


def test_memory_stays_flat_over_100_000_calls(classifier):
    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    for _ in range(1_000):
        classifier.classify("good").scores
    before = resident()
    for _ in range(100_000):
        classifier.classify("good").scores
    assert resident() - before < 1 << 20


def test_the_tokenizer_counts_characters(command):
    tokenizer = electra_edge.Tokenizer()
    rows = command("tokenize", TEXTS)
    for row, text in zip(rows, TEXTS):
        tokens = tokenizer.tokenize(text)
        assert [token.id for token in tokens] == [token["id"] for token in row["tokens"]]
        assert [token.token for token in tokens] == [token["token"] for token in row["tokens"]]
        for token, expected in zip(tokens, row["tokens"]):
            source = text.encode()[expected["start"] : expected["end"]].decode()
            assert text[token.start : token.end] == source
        assert tokenizer.encode(text)[1:-1] == [token.id for token in tokens]
    assert len(tokenizer) == 30_522
    assert pickle.loads(pickle.dumps(tokenizer)).encode("good") == tokenizer.encode("good")
    tokens = tokenizer.tokenize("good")
    assert pickle.loads(pickle.dumps(tokens)) == tokens


def test_the_detector_finds_what_the_command_finds(command, detector_model):
    text = "Über: he was born in of 1952 and moved to Paris."
    detector = electra_edge.Detector(detector_model)
    [row] = command("detect", [text], "--model", str(detector_model))
    found = detector.detect(text)
    assert [token.token for token in found.tokens] == [token["token"] for token in row["tokens"]]
    for token, expected in zip(found.tokens, row["tokens"]):
        assert bits(token.probability) == bits(expected["probability"])
        assert token.replaced == expected["replaced"]
    assert [text[token.start : token.end] for token in found.tokens if token.replaced] == ["in", "of"]
    assert detector.detect_batch([text, None]) == [found, None]
    assert pickle.loads(pickle.dumps(detector)).detect(text) == found
    assert pickle.loads(pickle.dumps(found)) == found


def test_a_packed_folder_has_the_bytes_that_the_command_writes(tmp_path):
    folder = MODELS / "electra-small-sentiment"
    out = tmp_path / "model.electra"
    electra_edge.pack(folder, out, name="electra-small-sentiment", language="en")
    assert out.stat().st_mode & 0o777 == 0o666 & ~umask()
    assert Classifier(out).classify_batch(TEXTS) == Classifier().classify_batch(TEXTS)
    with pytest.raises(ValueError, match="is a file of another kind, expected a new file"):
        electra_edge.pack(folder, folder / "config.json")
    with pytest.raises(FileNotFoundError, match="config.json: cannot be read"):
        electra_edge.pack(tmp_path, tmp_path / "other.electra")


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
