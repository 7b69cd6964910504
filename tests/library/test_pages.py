"""The pages of docs/library say what the docstrings say, and every docstring says enough."""

import importlib
import importlib.util
import inspect
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
AREAS = ("density_ratio", "layers", "losses", "metrics", "models", "optimizers")


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location(
        "library_pages", ROOT / "tools" / "library_pages.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pages_are_those_of_the_docstrings(tool):
    expected = tool.pages()
    found = {
        str(path.relative_to(tool.FOLDER)): path.read_text(encoding="utf-8")
        for path in tool.FOLDER.rglob("*.md")
    }
    different = sorted(
        path for path in expected.keys() | found.keys() if expected.get(path) != found.get(path)
    )
    assert not different, "run `python tools/library_pages.py`"


@pytest.mark.parametrize("area", AREAS)
def test_every_item_has_all_sections(tool, area):
    module = importlib.import_module(f"tfphen.{area}")
    for title, names in tool.items(module).items():
        # What a function returns is described where the function is.
        if tool.is_result(getattr(module, title)):
            continue
        texts = [tool.sections_of(getattr(module, name).__doc__) for name in names]
        for section in ("Example", "When not to use", "Reference"):
            assert any(text.get(section) for text in texts), f"{title} lacks `{section}:`"
        for name in names:
            thing = getattr(module, name)
            if tool.is_result(thing):
                continue
            made = inspect.signature(thing).parameters
            named = "\n".join(tool.sections_of(thing.__doc__).get("Args", []))
            for parameter in made:
                assert f"{parameter}:" in named.replace(",", ":").replace("*", ""), (
                    f"{name} does not describe `{parameter}`"
                )


def test_a_page_shows_formulas_lists_and_sessions(tool):
    class Example:
        """One line.

        An equation:

            a_b = c * d

        Args:
            size: Of it,
                in two lines.

        Example:

        >>> 1 + 1
        2

        Reference:
            A paper.
        """

        def __init__(self, size=3):
            self.size = size

    module = type(sys)("made")
    module.Example = Example
    text = tool.page("layers", module, "Example", ["Example"])
    assert "```text\na_b = c * d\n```" in text
    assert "- `size`: Of it,\n  in two lines." in text
    assert "```pycon\n>>> 1 + 1\n2\n```" in text
    assert "Example(size=3)" in text
    assert tool.function_of("LDAMLoss") == "ldam_loss"
    assert tool.function_of("ExpectedCalibrationError") == "expected_calibration_error"
