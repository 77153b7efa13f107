"""`pipeline`: the interface of `transformers.pipeline` for the tasks of this package."""

from __future__ import annotations

import os
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Literal, TypedDict, TypeVar, Union, overload

from ._native import Classification, Classifier, Detection, Detector

Path = Union[str, "os.PathLike[str]"]
Input = Union[str, Mapping[str, str]]
Result = TypeVar("Result")

# Texts that are read ahead from a generator.
READ_AHEAD = 64

TRUNCATION = {
    True: True,
    False: False,
    "only_first": True,
    "longest_first": True,
    "do_not_truncate": False,
}


class LabelScore(TypedDict):
    """A label and its probability."""

    label: str
    score: float


class TokenEntity(TypedDict):
    """The verdict on a token."""

    entity: Literal["REPLACED", "ORIGINAL"]
    score: float
    index: int
    word: str
    start: int
    end: int


@overload
def pipeline(
    task: Literal["sentiment-analysis", "text-classification"] | None = None,
    model: Path | None = None,
    *,
    top_k: int | None | Literal[""] = "",
    truncation: bool | str = False,
    batch_size: int | None = None,
    device: object = None,
    engine: str | None = None,
    threads: int | None = None,
    max_tokens: int | None = None,
    arena_bytes: int | None = None,
    without: Sequence[str] | None = None,
    min_score: float | None = None,
) -> TextClassificationPipeline: ...


@overload
def pipeline(
    task: Literal["replaced-token-detection"],
    model: Path | None = None,
    *,
    batch_size: int | None = None,
    device: object = None,
    engine: str | None = None,
    threads: int | None = None,
    max_tokens: int | None = None,
    arena_bytes: int | None = None,
) -> ReplacedTokenDetectionPipeline: ...


def pipeline(
    task: str | None = None,
    model: Path | None = None,
    *,
    top_k: int | None | str = "",
    truncation: bool | str = False,
    batch_size: int | None = None,
    device: object = None,
    engine: str | None = None,
    threads: int | None = None,
    max_tokens: int | None = None,
    arena_bytes: int | None = None,
    without: Sequence[str] | None = None,
    min_score: float | None = None,
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
        engine, threads, max_tokens, arena_bytes, without, min_score: as for `Classifier`.

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
    arguments: dict[str, Any] = {
        "engine": engine,
        "threads": threads,
        "max_tokens": max_tokens,
        "arena_bytes": arena_bytes,
    }
    size = _checked_batch_size(batch_size)
    if task in (None, "sentiment-analysis", "text-classification"):
        arguments["without"] = without
        arguments["min_score"] = min_score
        return TextClassificationPipeline(_model_file(model), top_k, truncation, size, arguments)
    if task == "replaced-token-detection":
        return ReplacedTokenDetectionPipeline(Detector(_model_file(model), **arguments), size)
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
        truncation: bool | str,
        batch_size: int | None,
        engine: Mapping[str, Any],
    ) -> None:
        self._path, self._engine = path, dict(engine)
        self._top_k, self._truncation = _checked_top_k(top_k), _checked_truncation(truncation)
        self._batch_size = batch_size
        # Classifiers by their value of `truncate`.
        self._classifiers: dict[bool, Classifier] = {}
        self._classifier(self._truncation)

    @overload
    def __call__(
        self,
        inputs: str,
        *,
        truncation: bool | str | None = None,
        batch_size: int | None = None,
    ) -> list[LabelScore]: ...

    @overload
    def __call__(
        self,
        inputs: str,
        *,
        top_k: int | None,
        truncation: bool | str | None = None,
        batch_size: int | None = None,
    ) -> list[LabelScore]: ...

    @overload
    def __call__(
        self,
        inputs: list[str],
        *,
        truncation: bool | str | None = None,
        batch_size: int | None = None,
    ) -> list[LabelScore]: ...

    @overload
    def __call__(
        self,
        inputs: list[str],
        *,
        top_k: int | None,
        truncation: bool | str | None = None,
        batch_size: int | None = None,
    ) -> list[list[LabelScore]]: ...

    @overload
    def __call__(
        self,
        inputs: Input | Iterable[Input],
        *,
        top_k: int | None | Literal[""] = "",
        truncation: bool | str | None = None,
        batch_size: int | None = None,
    ) -> Any: ...

    def __call__(
        self,
        inputs: Input | Iterable[Input],
        *,
        top_k: int | None | str = "",
        truncation: bool | str | None = None,
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
        cut = self._truncation if truncation is None else _checked_truncation(truncation)
        size = _checked_batch_size(batch_size) or self._batch_size or READ_AHEAD
        classifier = self._classifier(cut)

        def shaped(answer: Classification) -> Any:
            scores = [LabelScore(label=label, score=score) for label, score in answer.scores.items()]
            if answer.unsure:
                # Callers take the first entry as the answer.
                scores.insert(0, LabelScore(label=answer.label, score=answer.score))
            return scores[0] if top == "" else scores[: top if isinstance(top, int) else None]

        def answers(texts: Any) -> Iterator[Any]:
            # There is an answer to every text, because none is missing.
            found = classifier.classify_batch(texts)
            return (shaped(answer) for answer in found if answer is not None)

        if isinstance(inputs, (str, Mapping)):
            result = shaped(classifier.classify(_text(inputs)))
            # transformers wraps the result of a `str`, but not that of a dictionary.
            return [result] if isinstance(inputs, str) and not asked else result
        return _each(inputs, size, answers)

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

    @overload
    def __call__(self, inputs: str, *, batch_size: int | None = None) -> list[TokenEntity]: ...

    @overload
    def __call__(
        self, inputs: list[str], *, batch_size: int | None = None
    ) -> list[list[TokenEntity]]: ...

    @overload
    def __call__(
        self, inputs: Input | Iterable[Input], *, batch_size: int | None = None
    ) -> Any: ...

    def __call__(self, inputs: Input | Iterable[Input], *, batch_size: int | None = None) -> Any:
        """Judge the tokens of a text, a list of texts, or a generator of texts.

        Returns one dictionary per token, with the keys "entity" ("REPLACED" or "ORIGINAL"),
        "score" (the probability of that entity), "index", "word", "start" and "end" (offsets in
        characters). A list gives a list of such lists, and a generator an iterator.
        """
        size = _checked_batch_size(batch_size) or self._batch_size or READ_AHEAD
        if isinstance(inputs, (str, Mapping)):
            return _entities(self._detector.detect(_text(inputs)))

        def answers(texts: Any) -> Iterator[list[TokenEntity]]:
            return (_entities(found) for found in self._detector.detect_batch(texts) if found)

        return _each(inputs, size, answers)


def _entities(found: Detection) -> list[TokenEntity]:
    return [
        TokenEntity(
            entity="REPLACED" if token.replaced else "ORIGINAL",
            score=token.probability if token.replaced else 1.0 - token.probability,
            index=index,
            word=token.token,
            start=token.start,
            end=token.end,
        )
        # As in `transformers`, index 0 is that of [CLS].
        for index, token in enumerate(found.tokens, start=1)
    ]


def _each(
    inputs: Iterable[Input], size: int, answers: Callable[[Any], Iterator[Result]]
) -> list[Result] | Iterator[Result]:
    """Return the answers to several texts: an iterator for a generator, otherwise a list."""
    if isinstance(inputs, types.GeneratorType):
        return _each_batch(inputs, size, answers)
    if not isinstance(inputs, Iterable) or isinstance(inputs, (bytes, bytearray)):
        raise TypeError(f"inputs is {type(inputs).__name__}, expected a str or a list of str")
    return list(answers([_text(item, index) for index, item in enumerate(inputs)]))


def _each_batch(
    inputs: Iterator[Input], size: int, answers: Callable[[Any], Iterator[Result]]
) -> Iterator[Result]:
    read = 0
    while texts := [_text(item, index) for index, item in enumerate(islice(inputs, size), read)]:
        read += len(texts)
        yield from answers(texts)


def _text(item: Any, index: int | None = None) -> str:
    name = "inputs" if index is None else f"inputs[{index}]"
    if isinstance(item, str):
        return item
    if isinstance(item, Mapping):
        if set(item) == {"text"} and isinstance(item["text"], str):
            return item["text"]
        raise ValueError(
            f"{name} is a dictionary with the keys {sorted(item)}, expected only 'text' with a str; "
            "the model takes no pairs of texts"
        )
    raise TypeError(f"{name} is {type(item).__name__}, expected str")


def _checked_top_k(top_k: int | None | str) -> int | None | str:
    if top_k is None or top_k == "":
        return top_k
    if isinstance(top_k, int) and not isinstance(top_k, bool) and top_k >= 1:
        return top_k
    raise ValueError(f"top_k is {top_k!r}, expected a number from 1, or None for all labels")


def _checked_truncation(truncation: bool | str) -> bool:
    if truncation in TRUNCATION:
        return TRUNCATION[truncation]
    raise ValueError(f"truncation is {truncation!r}, expected True or False")


def _checked_batch_size(batch_size: int | None) -> int | None:
    if batch_size is None or (isinstance(batch_size, int) and batch_size >= 1):
        return batch_size
    raise ValueError(f"batch_size is {batch_size!r}, expected a number from 1")


def _model_file(model: Path | None) -> Path | None:
    if model is not None and os.path.isdir(model):
        raise ValueError(
            f"{os.fspath(model)}: is a folder, expected a model file; "
            f"make one with electra_edge.pack({os.fspath(model)!r}, 'model.electra')"
        )
    return model
