"""Runs the examples of docs/python.md and README.md in the folder of the repository."""

import doctest
import os
import re

import pytest
from conftest import ROOT

@pytest.mark.parametrize("name, fewest", [("docs/python.md", 20), ("README.md", 3)])
def test_the_examples_of_the_document(tmp_path, monkeypatch, name, fewest):
    monkeypatch.chdir(tmp_path)
    os.symlink(ROOT / "models", tmp_path / "models")
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / name).read_text(), re.DOTALL | re.MULTILINE)
    examples = "\n".join(blocks)
    parsed = doctest.DocTestParser().get_doctest(examples, {}, name, name, 0)
    assert len(parsed.examples) >= fewest
    runner = doctest.DocTestRunner()
    runner.run(parsed)
    assert runner.failures == 0
