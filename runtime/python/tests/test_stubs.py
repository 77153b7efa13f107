"""Checks the type stubs against the module, and the package against its types."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import electra_edge
from electra_edge import _native

PROJECT = Path(__file__).resolve().parents[1]
STUBS = PROJECT / "python" / "electra_edge" / "_native.pyi"


def run(*arguments):
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_package_passes_mypy():
    run("mypy")


def test_the_stubs_agree_with_the_module():
    # disjoint_base is a decorator of Python 3.15.
    run("mypy.stubtest", "--ignore-disjoint-bases", "electra_edge._native")


def test_the_stubs_have_the_documentation_of_the_module():
    compared = 0

    def compare(node, object):
        nonlocal compared
        documentation = ast.get_docstring(node)
        if documentation and not node.name.startswith("__"):
            assert inspect.getdoc(object) == documentation, node.name
            compared += 1
        for member in getattr(node, "body", []):
            if isinstance(member, ast.FunctionDef) and isinstance(node, ast.ClassDef):
                compare(member, getattr(object, member.name))

    for node in ast.parse(STUBS.read_text()).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith("_"):
            compare(node, getattr(_native, node.name))
    assert compared > 30


def test_everything_public_is_documented():
    for name in electra_edge.__all__:
        if name not in ("ENGINES", "__version__"):
            assert inspect.getdoc(getattr(electra_edge, name)), name


# A program that mypy accepts: editors know the types of `pipeline` as well.
USER = """
import electra_edge

classify = electra_edge.pipeline("sentiment-analysis")
label: str = classify("good")[0]["label"]
scores: list[float] = [entry["score"] for entry in classify("good", top_k=None)]
many: list[str] = [entry["label"] for entry in classify(["good", "bad"])]
ranked: str = classify(["good"], top_k=2)[0][0]["label"]
detect = electra_edge.pipeline("replaced-token-detection", model="model.electra")
word: str = detect("good")[0]["word"]
"""

WRONG = """
import electra_edge

electra_edge.pipeline("sentiment-analisys")
electra_edge.pipeline("sentiment-analysis", treads=3)
"""


def test_programs_with_pipeline_are_checked(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(USER)
    run("mypy", "--strict", str(program))
    program.write_text(WRONG)
    command = [sys.executable, "-m", "mypy", "--strict", str(program)]
    found = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True).stdout
    assert "program.py:4: error: No overload variant" in found, found
    assert 'program.py:5: error: Unexpected keyword argument "treads"' in found, found
