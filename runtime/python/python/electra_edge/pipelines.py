"""`pipeline`: the interface of `transformers.pipeline` for the tasks of this package."""

from __future__ import annotations

import os
import types
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Union

from ._native import Classification, Classifier, Detection, Detector

Path = Union[str, "os.PathLike[str]"]
Input = Union[str, Mapping[str, str]]

# Texts that are read ahead from a generator.
READ_AHEAD = 64


def pipeline(
    task: str | None = None,
    model: Path | None = None,
    *,
    top_k: int | None | str = "",
    truncation: bool = False,
    batch_size: int | None = None,
    device: object = None,
    **engine: Any,
) -> TextClassificationPipeline | ReplacedTokenDetectionPipeline:
    """Return a function that processes texts, as `transformers.pipeline` does.

    Args:
        task: "sentiment-analysis" or "text-classification", which are the same, or
            "replaced-token-detection". Without a task, "text-classification".
        model: path of a model file; the default model of the task if it is `None`.
        top_k: number of labels per text; `None` for all labels.
        truncation: whether a long text is cut. Otherwise it is processed in windows.
        batch_size: number of texts that are read ahead from a generator.
        device: `None`, -1 or "cpu". Other devices are refused.
        engine: arguments of `Classifier` or `Detector`, for example `threads=2`.

    Raises:
        ValueError: if the task or the device is unknown.
        FileNotFoundError: if there is no such model.
        ModelError: if the file is not a model for the task.

    >>> classify = pipeline("sentiment-analysis")
    >>> [answer["label"] for answer in classify(["A joy to watch.", "What a waste of money."])]
    ['POSITIVE', 'NEGATIVE']
    """
    if device is not None and device != -1 and str(device) != "cpu":
        raise ValueError(f"device is {device!r}, expected 'cpu': the model runs on the processor")
    if task in (None, "sentiment-analysis", "text-classification"):
        path = _model_file(model)
        return TextClassificationPipeline(path, top_k, truncation, batch_size, engine)
    if task == "replaced-token-detection":
        return ReplacedTokenDetectionPipeline(Detector(_model_file(model), **engine), batch_size)
    raise ValueError(
        f"task is {task!r}, expected 'sentiment-analysis', 'text-classification' "
        "or 'replaced-token-detection'"
    )


class TextClassificationPipeline:
    """Classifies texts. The results have the shape that `transformers` gives them."""

    task = "text-classification"

    def __init__(
        self,
        path: Path | None,
        top_k: int | None | str,
        truncation: bool,
        batch_size: int | None,
        engine: Mapping[str, Any],
    ) -> None:
        self._path, self._engine = path, dict(engine)
        self._top_k, self._truncation = _checked_top_k(top_k), truncation
        self._batch_size = batch_size
        # Classifiers by their value of `truncate`.
        self._classifiers: dict[bool, Classifier] = {}
        self._classifier(truncation)

    def __call__(
        self,
        inputs: Input | Iterable[Input],
        *,
        top_k: int | None | str = "",
        truncation: bool | None = None,
        batch_size: int | None = None,
    ) -> Any:
        """Classify a text, a list of texts, or a generator of texts.

        A text is a `str`, or a dictionary with the key "text". Returns a list of
        `{"label": ..., "score": ...}`, one per text, also for a single text. With `top_k`, the
        entry of each text is a list of such dictionaries, the likeliest label first. A generator
        gives an iterator.
        """
        asked = top_k != ""
        top = _checked_top_k(top_k) if asked else self._top_k
        classifier = self._classifier(self._truncation if truncation is None else truncation)

        def shaped(answer: Classification) -> Any:
            scores = [{"label": label, "score": score} for label, score in answer.scores.items()]
            return scores[0] if top == "" else scores[: top if isinstance(top, int) else None]

        if isinstance(inputs, (str, Mapping)):
            result = shaped(classifier.classify(_text(inputs)))
            # transformers wraps the result of a `str`, but not that of a dictionary.
            return [result] if isinstance(inputs, str) and not asked else result
        if isinstance(inputs, types.GeneratorType):
            size = batch_size or self._batch_size or READ_AHEAD
            return _each_batch(inputs, size, lambda texts: map(shaped, _batch(classifier, texts)))
        return [shaped(answer) for answer in _batch(classifier, [_text(item) for item in inputs])]

    def _classifier(self, truncate: bool) -> Classifier:
        if truncate not in self._classifiers:
            arguments = {**self._engine, "truncate": truncate}
            self._classifiers[truncate] = Classifier(self._path, **arguments)
        return self._classifiers[truncate]


class ReplacedTokenDetectionPipeline:
    """Finds words that look replaced. The results have the shape of token classification."""

    task = "replaced-token-detection"

    def __init__(self, detector: Detector, batch_size: int | None) -> None:
        self._detector, self._batch_size = detector, batch_size

    def __call__(
        self, inputs: Input | Iterable[Input], *, batch_size: int | None = None
    ) -> Any:
        """Judge the tokens of a text, a list of texts, or a generator of texts.

        Returns one dictionary per token, with the keys "entity" ("REPLACED" or "ORIGINAL"),
        "score" (the probability of that entity), "index", "word", "start" and "end" (offsets in
        characters). A list gives a list of such lists, and a generator an iterator.
        """
        if isinstance(inputs, (str, Mapping)):
            return _entities(self._detector.detect(_text(inputs)))

        def all_of(texts: list[str]) -> Iterator[list[dict[str, Any]]]:
            return (_entities(found) for found in self._detector.detect_batch(texts) if found)

        if isinstance(inputs, types.GeneratorType):
            return _each_batch(inputs, batch_size or self._batch_size or READ_AHEAD, all_of)
        return list(all_of([_text(item) for item in inputs]))


def _entities(found: Detection) -> list[dict[str, Any]]:
    return [
        {
            "entity": "REPLACED" if token.replaced else "ORIGINAL",
            "score": token.probability if token.replaced else 1.0 - token.probability,
            "index": index,
            "word": token.token,
            "start": token.start,
            "end": token.end,
        }
        # As in `transformers`, index 0 is that of [CLS].
        for index, token in enumerate(found.tokens, start=1)
    ]


def _batch(classifier: Classifier, texts: list[str]) -> Iterator[Classification]:
    # There is an answer to every text, because none is missing.
    return (answer for answer in classifier.classify_batch(texts) if answer is not None)


def _each_batch(inputs: Iterator[Input], size: int, process: Any) -> Iterator[Any]:
    while texts := [_text(item) for item in islice(inputs, size)]:
        yield from process(texts)


def _text(item: Input) -> str:
    if isinstance(item, str):
        return item
    if isinstance(item, Mapping):
        if set(item) == {"text"} and isinstance(item["text"], str):
            return item["text"]
        raise ValueError(
            f"a text is a dictionary with the keys {sorted(item)}, expected only 'text' with a str; "
            "the model takes no pairs of texts"
        )
    raise TypeError(f"a text is {type(item).__name__}, expected str")


def _checked_top_k(top_k: int | None | str) -> int | None | str:
    if top_k is None or top_k == "":
        return top_k
    if isinstance(top_k, int) and not isinstance(top_k, bool) and top_k >= 1:
        return top_k
    raise ValueError(f"top_k is {top_k!r}, expected a number from 1, or None for all labels")


def _model_file(model: Path | None) -> Path | None:
    if model is not None and os.path.isdir(model):
        raise ValueError(
            f"{os.fspath(model)}: is a folder, expected a model file; "
            f"make one with electra_edge.pack({os.fspath(model)!r}, 'model.electra')"
        )
    return model
