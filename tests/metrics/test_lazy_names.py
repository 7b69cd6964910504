"""The public names of the metrics, which load with their modules when they are first used."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from tfphen import metrics


def test_type_checkers_see_the_names_of_the_table():
    tree = ast.parse(Path(metrics.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname: node.module.removeprefix("tfphen.metrics.")
        for node in block.body
        for alias in node.names
    }
    assert seen == metrics._MODULES


@pytest.mark.parametrize("name", metrics.__all__)
def test_a_name_is_that_of_its_module(name):
    module = importlib.import_module(f"tfphen.metrics.{metrics._MODULES[name]}")
    assert getattr(metrics, name) is getattr(module, name)
    assert getattr(metrics, name).__module__ == module.__name__


def test_names_are_listed_and_others_are_an_attribute_error():
    assert set(metrics.__all__) <= set(dir(metrics))
    with pytest.raises(AttributeError, match=r"'tfphen.metrics' has no attribute 'no_such_metric'"):
        metrics.no_such_metric  # noqa: B018


def test_the_package_imports_no_backend():
    heavy = "{'keras', 'tensorflow', 'torch', 'jax', 'scipy', 'sklearn', 'numpy'}"
    code = f"import sys, tfphen.metrics; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
