"""Runs the real Spark as a cluster of two workers on this machine."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas
import pytest
from conftest import TEXTS

import electra_edge
from electra_edge import Classifier

pyspark = pytest.importorskip("pyspark")
from pyspark.sql import SparkSession  # noqa: E402

from electra_edge.spark import classify  # noqa: E402

COUNT = int(os.environ.get("ELECTRA_SPARK_TEXTS", "200000"))


@pytest.fixture(scope="module")
def spark():
    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = (
        SparkSession.builder.master("local-cluster[2,1,1024]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "4")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "2000")
        .config("spark.executor.memory", "512m")
        .getOrCreate()
    )
    yield session
    session.stop()


@pytest.fixture(scope="module")
def texts():
    """Many texts with few different ones; every hundredth is null."""
    return [None if number % 100 == 7 else TEXTS[number % len(TEXTS)] for number in range(COUNT)]


@pytest.fixture(scope="module")
def frame(spark, texts):
    rows = pandas.DataFrame({"id": range(len(texts)), "text": pandas.Series(texts, dtype=object)})
    return spark.createDataFrame(rows, "id long, text string").repartition(20)


def answered(frame):
    rows = frame.withColumn("answer", classify("text")).select("id", "answer.label", "answer.score")
    return rows.toPandas().sort_values("id")


def expected(texts):
    answers = Classifier(threads=1).classify_batch(texts)
    return [answer and answer.label for answer in answers], [answer and answer.score for answer in answers]


def compare(rows, texts):
    labels, scores = expected(texts)
    assert list(rows["id"]) == list(range(len(texts)))
    assert [None if pandas.isna(label) else label for label in rows["label"]] == labels
    found = [None if pandas.isna(score) else score for score in rows["score"]]
    assert found == scores


def test_a_cluster_gives_the_answers_of_one_process(frame, texts, capsys):
    frame.count()
    start = time.monotonic()
    rows = answered(frame)
    cluster = time.monotonic() - start
    start = time.monotonic()
    compare(rows, texts)
    single = time.monotonic() - start
    with capsys.disabled():
        print(f"\n{len(texts)} texts: {len(texts) / cluster:.0f} texts/s on two workers of Spark, ", end="")
        print(f"{len(texts) / single:.0f} texts/s in one process with one thread")


def test_a_killed_worker_loses_nothing(frame, texts):
    def kill_one():
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            # The daemon of PySpark and its workers run this module.
            found = subprocess.run(["pgrep", "-f", "pyspark.daemon"], capture_output=True, text=True)
            workers = found.stdout.split()
            if len(workers) > 2:
                time.sleep(0.5)
                os.kill(int(workers[-1]), signal.SIGKILL)
                killed.append(workers[-1])
                return
            time.sleep(0.05)

    killed = []
    killer = threading.Thread(target=kill_one)
    killer.start()
    part = min(COUNT, 40_000)
    rows = answered(frame.where(f"id < {part}"))
    killer.join()
    assert killed
    compare(rows, texts[:part])


# The driver finds the package in its path, which Spark does not send to the workers.
DRIVER = """
import sys

sys.path.insert(0, {folder!r})
from pyspark.sql import SparkSession

from electra_edge.spark import classify, install

builder = SparkSession.builder.master("local-cluster[2,1,1024]")
builder = builder.config("spark.ui.enabled", "false").config("spark.executor.memory", "512m")
spark = builder.getOrCreate()
frame = spark.createDataFrame([("A joy to watch.",), (None,), ("What a waste.",)], "text string")
labelled = frame.select(classify("text").alias("answer")).select("answer.label")
try:
    labelled.collect()
    print("the workers had the package")
except Exception as error:
    assert "No module named 'electra_edge'" in str(error), error
install(spark)
print([row.label for row in labelled.collect()])
"""


def test_install_brings_the_package_to_the_workers():
    folder = str(Path(electra_edge.__file__).parents[1])
    kept = [path for path in os.environ.get("PYTHONPATH", "").split(":") if path != folder]
    environment = {**os.environ, "PYTHONPATH": ":".join(kept), "PYSPARK_PYTHON": sys.executable}
    command = [sys.executable, "-c", DRIVER.format(folder=folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.stdout == "['POSITIVE', None, 'NEGATIVE']\n", done.stdout + done.stderr
