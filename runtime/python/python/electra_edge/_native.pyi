"""The part of the package that is written in Rust. `electra_edge` re-exports it."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Optional, Protocol, Union, final

from typing_extensions import Self

__all__ = [
    "ENGINES",
    "ArrowAnswers",
    "Classification",
    "Classifier",
    "Detection",
    "Detector",
    "ModelError",
    "Token",
    "TokenVerdict",
    "Tokenizer",
    "__version__",
    "footprint",
    "pack",
]

ENGINES: tuple[str, ...]
"""The names of the engines in this build, the default first."""

__version__: str

_Path = Union[str, os.PathLike[str]]

class _ArrowArray(Protocol):
    def __arrow_c_array__(self, requested_schema: Any = None) -> tuple[Any, Any]: ...

class _ArrowStream(Protocol):
    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any: ...

# Texts of a batch. None, a null of Arrow and NaN stand for a missing text.
_Texts = Union[Iterable[Optional[str]], _ArrowArray, _ArrowStream]

class ModelError(ValueError):
    """The file is not a model, is damaged, or has another head than the call needs."""

@final
class Classification:
    """The answer to one text."""

    @property
    def label(self) -> str:
        """The likeliest label, or "UNSURE" if its score is too low."""
    @property
    def unsure(self) -> bool:
        """Whether the score is too low for an answer."""
    @property
    def score(self) -> float:
        """The probability of the likeliest label, from 0 to 1."""
    @property
    def scores(self) -> dict[str, float]:
        """The probability of each label, the likeliest first. They add up to 1."""
    @property
    def tokens(self) -> int:
        """The number of tokens that were run, without [CLS] and [SEP]."""
    @property
    def windows(self) -> int:
        """The number of windows that were run; 1 unless the text is long."""
    @property
    def truncated(self) -> bool:
        """Whether the text was cut."""

@final
class ArrowAnswers:
    """Answers as an Arrow array of structures.

    The fields are `label` (string), `score` (float32) and `scores` (a structure with one float32
    per label). Each is null for a missing text. `pyarrow.record_batch(answers)` and other readers
    of the Arrow C data interface take it without a copy.
    """

    def __len__(self) -> int: ...
    def __arrow_c_schema__(self) -> Any: ...
    def __arrow_c_array__(self, requested_schema: Any = None) -> tuple[Any, Any]: ...

@final
class Classifier:
    """Assigns a label to a text.

    Several threads may use one classifier. Each call that runs at the same time as others gets an
    engine of its own. A pickled classifier opens its model again by its path.

    Args:
        path: the model file. `None` stands for the file that the environment variable ELECTRA_MODEL
            names, or for the model in this package.
        engine: one of `ENGINES`. All give the same answers, bit for bit.
        threads: the number of threads of each call. `classify` shares one text among them, at most
            8, and `classify_batch` gives each thread texts of its own. By default `classify` uses
            one thread, and `classify_batch` one per processor core.
        max_tokens: the longest sequence in tokens, with [CLS] and [SEP]; by default the positions
            of the model. Longer texts are processed in overlapping windows.
        arena_bytes: the size of the memory arena of each engine in bytes; by default exactly the
            size that `max_tokens` needs. A smaller arena is refused.
        truncate: whether a long text is cut instead of processed in windows.
        without: labels that are never the answer. The probabilities of the others are divided by
            their sum.
        min_score: the smallest score of an answer, from 0 to 1. If the likeliest label has a lower
            score, the label is "UNSURE". By default the thresholds in the model file apply.

    Raises:
        FileNotFoundError: if there is no such file.
        ModelError: if the file is not a model for classification, or is damaged.
        ValueError: if an argument is out of range. The message says what is expected.

    >>> Classifier().classify("ELECTRA is surprisingly fast and accurate.").label
    'POSITIVE'
    """

    def __new__(
        cls,
        path: Optional[_Path] = None,
        *,
        engine: Optional[str] = None,
        threads: Optional[int] = None,
        max_tokens: Optional[int] = None,
        arena_bytes: Optional[int] = None,
        truncate: bool = False,
        without: Optional[Sequence[str]] = None,
        min_score: Optional[float] = None,
    ) -> Self: ...
    def classify(self, text: str) -> Classification:
        """Classify one text."""
    def classify_batch(self, texts: _Texts) -> list[Optional[Classification]]:
        """Classify many texts. Short texts run together, which is faster than single calls.

        Args:
            texts: an iterable of `str`, a NumPy array or a pandas column of strings, or an Arrow
                array or stream of strings. The texts of Arrow are not copied.

        Returns:
            One answer per text, in order; `None` for a missing text.

        Raises:
            TypeError: if an item is not a text. The message names its index.
            KeyboardInterrupt: after Ctrl-C.
        """
    def classify_arrow(self, texts: _Texts) -> ArrowAnswers:
        """Classify many texts as `classify_batch` does, and return the answers in Arrow's layout."""
    @property
    def labels(self) -> list[str]:
        """The labels that can be answers, in the order of the model."""
    @property
    def path(self) -> Optional[Path]:
        """The path of the model file; `None` for the model in this package."""
    @property
    def arena_bytes(self) -> int:
        """The size of the memory arena of the engine for single texts in bytes."""
    @property
    def max_tokens(self) -> int:
        """The longest sequence in tokens, with [CLS] and [SEP]."""
    @property
    def engine(self) -> str:
        """The name of the engine."""

@final
class TokenVerdict:
    """The verdict on one token."""

    @property
    def token(self) -> str:
        """The token as the vocabulary spells it."""
    @property
    def start(self) -> int:
        """The first character of the text from which it comes."""
    @property
    def end(self) -> int:
        """The character after the last one."""
    @property
    def probability(self) -> float:
        """The probability that the token was replaced, from 0 to 1."""
    @property
    def replaced(self) -> bool:
        """Whether the token was more likely replaced than not."""

@final
class Detection:
    """The verdicts on the tokens of one text."""

    @property
    def tokens(self) -> list[TokenVerdict]:
        """One verdict per token, in the order of the text."""
    @property
    def windows(self) -> int:
        """The number of windows that were run; 1 unless the text is long."""

@final
class Detector:
    """Finds the tokens of a text that look replaced. Several threads may use one detector.

    The arguments and exceptions are those of `Classifier`. Without a path, the model is that of
    ELECTRA_MODEL, or `electra-small-rtd` where the Debian package installed it or from a checkout.
    This package does not contain it.
    """

    def __new__(
        cls,
        path: Optional[_Path] = None,
        *,
        engine: Optional[str] = None,
        threads: Optional[int] = None,
        max_tokens: Optional[int] = None,
        arena_bytes: Optional[int] = None,
    ) -> Self: ...
    def detect(self, text: str) -> Detection:
        """Judge each token of one text."""
    def detect_batch(self, texts: _Texts) -> list[Optional[Detection]]:
        """Judge each token of many texts; `None` for a missing text."""
    @property
    def path(self) -> Optional[Path]:
        """The path of the model file; `None` for the model in this package."""
    @property
    def arena_bytes(self) -> int:
        """The size of the memory arena of the engine for single texts in bytes."""

@final
class Token:
    """One token of a text."""

    @property
    def id(self) -> int:
        """Its number in the vocabulary."""
    @property
    def token(self) -> str:
        """The token as the vocabulary spells it."""
    @property
    def start(self) -> int:
        """The first character of the text from which it comes."""
    @property
    def end(self) -> int:
        """The character after the last one."""

@final
class Tokenizer:
    """Divides texts into the tokens of a model, which is opened as `Classifier` does."""

    def __new__(cls, path: Optional[_Path] = None) -> Self: ...
    def tokenize(self, text: str) -> list[Token]:
        """Divide a text into tokens, without [CLS] and [SEP]."""
    def encode(self, text: str) -> list[int]:
        """Return the token ids that the model reads, with [CLS] and [SEP]."""
    def __len__(self) -> int:
        """The number of tokens of the vocabulary."""

def footprint(path: Optional[_Path] = None, *, max_tokens: Optional[int] = None) -> dict[str, Any]:
    """Return the memory that a model needs, in bytes.

    The keys are "model_bytes", "sections" (bytes by section of the file), "max_tokens" and
    "arena_bytes", the size of the memory arena for sequences of `max_tokens` tokens.
    """

def pack(
    folder: _Path, out: _Path, *, name: Optional[str] = None, language: Optional[str] = None
) -> None:
    """Write a model file from a Hugging Face folder with an ELECTRA model.

    Args:
        folder: a folder with config.json, vocab.txt and model.safetensors.
        out: the model file. An existing model file is replaced as a whole; other files are refused.
        name: the name in the model file; by default that of the folder.
        language: the language in the model file, for example "en".

    Raises:
        ValueError: if something in the folder is unsupported. The message names file and field.
        OSError: if a file cannot be read or written.
    """
