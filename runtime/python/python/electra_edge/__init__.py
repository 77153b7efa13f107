"""Text classification on the device: an int8 ELECTRA in one fixed memory arena.

>>> import electra_edge
>>> classify = electra_edge.pipeline("sentiment-analysis")
>>> classify("ELECTRA is surprisingly fast and accurate.")[0]["label"]
'POSITIVE'
"""

from ._native import (
    ENGINES,
    ArrowAnswers,
    Classification,
    Classifier,
    Detection,
    Detector,
    ModelError,
    Token,
    TokenVerdict,
    Tokenizer,
    __version__,
    footprint,
    pack,
)
from .pipelines import pipeline

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
    "pipeline",
]
