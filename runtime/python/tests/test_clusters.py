"""Runs the functions of docs/at-scale.md with the real Dask and Ray Data."""

import pandas
import pytest
from conftest import TEXTS

from electra_edge import Classifier


def labeller():
    """Returns the function of the document. Being local, it is sent to the processes by value."""
    classifier = Classifier(threads=1)

    def label(frame):
        answers = classifier.classify_batch(frame["text"])
        return frame.assign(label=[answer and answer.label for answer in answers])

    return label


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    path = tmp_path_factory.mktemp("reviews") / "reviews.parquet"
    pandas.DataFrame({"text": TEXTS * 20}).to_parquet(path)
    return str(path)


@pytest.fixture(scope="module")
def expected(reviews):
    return labeller()(pandas.read_parquet(reviews)).sort_values("text")["label"].tolist()


def test_dask(reviews, expected):
    frame = pytest.importorskip("dask.dataframe").read_parquet(reviews)
    meta = {"text": "string", "label": "string"}
    found = frame.map_partitions(labeller(), meta=meta).compute(scheduler="processes")
    assert found.sort_values("text")["label"].tolist() == expected


def test_ray_data(reviews, expected):
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        found = ray.data.read_parquet(reviews).map_batches(labeller(), batch_format="pandas").to_pandas()
    finally:
        ray.shutdown()
    assert found.sort_values("text")["label"].tolist() == expected
