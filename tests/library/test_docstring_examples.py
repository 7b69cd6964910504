"""The examples in the docstrings of the importable library run and give what they say."""

import doctest
import importlib
import pkgutil

import pytest

AREAS = ("density_ratio", "layers", "losses", "metrics", "models", "optimizers")
PACKAGES = tuple(f"tfphen.{area}" for area in AREAS)


def modules():
    for package in PACKAGES:
        found = importlib.import_module(package)
        yield from (m.name for m in pkgutil.walk_packages(found.__path__, f"{package}."))


@pytest.mark.parametrize("name", sorted(modules()))
def test_examples(name, tensorflow):
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0
