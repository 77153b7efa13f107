"""Text classification in Apache Spark, with one classifier per worker process.

>>> from electra_edge.spark import classify
>>> frame.withColumn("sentiment", classify("text")).select("text", "sentiment.*")
"""

from __future__ import annotations

import functools
import os
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import pandas
from pyspark.sql.functions import col
from pyspark.sql.pandas.functions import pandas_udf

from ._native import Classifier

if TYPE_CHECKING:
    from pyspark.sql import Column, SparkSession

SCHEMA = "label string, score float"
"""The type of the column that `classify` returns."""

# The folder on each worker into which Spark unpacks the archive of `install`.
ARCHIVE = "electra_edge_package"


# Arguments of `Classifier`, checked in the driver so that a typing error is reported there.
OPTIONS = {"engine", "threads", "max_tokens", "arena_bytes", "truncate", "without", "min_score"}


def classify(
    column: Column | str, *, path: Union[str, os.PathLike[str], None] = None, **options: Any
) -> Column:
    """Return a column with the structure `label string, score float` for a column of texts.

    A null text gives a null in both fields.

    Args:
        column: a column of strings, or its name.
        path: the model file, which must exist at this path on every worker; by default the model
            in the package.
        options: arguments of `Classifier`. A worker process uses one thread unless `threads` is
            given, because Spark starts one process per core.
    """
    unknown = sorted(set(options) - OPTIONS)
    if unknown:
        raise TypeError(f"classify() got {unknown[0]!r}, expected one of {sorted(OPTIONS)}")
    options = {"threads": 1, **options}
    if options.get("without") is not None:
        # Arguments of a cached function can be hashed.
        options["without"] = tuple(options["without"])
    model = None if path is None else os.fspath(path)
    archive = ARCHIVE

    # Spark sends this function by value, so it must import the package on the worker.
    def batches(columns: Iterator[pandas.Series]) -> Iterator[pandas.DataFrame]:
        try:
            from electra_edge.spark import opened
        except ModuleNotFoundError:
            import sys

            from pyspark import SparkFiles

            sys.path.append(os.path.join(SparkFiles.getRootDirectory(), archive))
            from electra_edge.spark import opened
        classifier = opened(model, tuple(options.items()))
        for texts in columns:
            answers = classifier.classify_batch(texts)
            labels = [answer and answer.label for answer in answers]
            scores = [answer and answer.score for answer in answers]
            yield pandas.DataFrame({"label": labels, "score": scores}).astype({"score": "float32"})

    # pandas_udf evaluates the annotations of its function.
    batches.__annotations__ = {"columns": Iterator[pandas.Series], "return": Iterator[pandas.DataFrame]}
    # The type stubs of pandas_udf know no iterators of frames.
    make_udf: Any = pandas_udf
    answers: Column = make_udf(batches, SCHEMA)(col(column) if isinstance(column, str) else column)
    return answers


def install(spark: SparkSession) -> None:
    """Bring this package to all workers of a session, which then need only Python and pandas.

    The workers must have the processor architecture of the driver.
    """
    package = Path(__file__).parent
    # Spark copies the file, but reads it when a worker starts, so it must outlive the session.
    archive = Path(tempfile.mkdtemp(prefix="electra-edge-")) / f"{ARCHIVE}.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(package, package.name, filter=_without_caches)
    spark.sparkContext.addArchive(f"{archive}#{ARCHIVE}")


@functools.lru_cache(maxsize=4)
def opened(path: str | None, options: tuple[tuple[str, Any], ...]) -> Classifier:
    """Return the classifier of this process for these arguments."""
    return Classifier(path, **dict(options))


def _without_caches(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in entry.name else entry
