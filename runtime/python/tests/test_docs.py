"""Runs the examples of docs/python.md in the folder of the repository."""

import doctest
import os
import re

from conftest import ROOT

DOCUMENT = ROOT / "docs" / "python.md"


def test_the_examples_of_the_document(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.symlink(ROOT / "models", tmp_path / "models")
    blocks = re.findall(r"^```python\n(.*?)^```$", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)
    examples = "\n".join(blocks)
    parsed = doctest.DocTestParser().get_doctest(examples, {}, DOCUMENT.name, str(DOCUMENT), 0)
    assert len(parsed.examples) > 20
    runner = doctest.DocTestRunner()
    runner.run(parsed)
    assert runner.failures == 0
