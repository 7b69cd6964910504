"""Writes docs/library: a page for each public item of the importable library, from its docstring.

The docstring is the only text: the page, `help()` and the editor say the same. Run it after a
docstring changes; a test compares the pages with what this writes.

    python tools/library_pages.py
"""

import argparse
import inspect
import re
from dataclasses import is_dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "library"
AREAS = {
    "layers": "Layers",
    "losses": "Losses",
    "density_ratio": "Density ratios",
    "metrics": "Metrics and measurements",
    "models": "Models",
    "optimizers": "Optimizers and schedules",
}
SECTIONS = (
    "Args",
    "Call arguments",
    "Attributes",
    "Returns",
    "Raises",
    "Example",
    "When not to use",
    "Migration",
    "Reference",
)
_HEADING = re.compile(rf"^({'|'.join(SECTIONS)}):$")
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def sections_of(docstring: str) -> dict[str, list[str]]:
    """Returns the lines of each section, dedented; the text before the first is under `""`."""
    found, current = {"": []}, ""
    for line in inspect.cleandoc(docstring).splitlines():
        heading = _HEADING.match(line)
        if heading:
            current = heading[1]
            found[current] = []
        else:
            found[current].append(line)
    return {
        name: inspect.cleandoc("\n".join(["", *lines])).splitlines()
        for name, lines in found.items()
    }


def _escaped(text: str) -> str:
    """Markdown of prose: `*` and `_` outside of code are letters of a formula."""
    parts = re.split(r"(`[^`]*`)", text)
    marks = r"([*<|]|(?<!\w)_|_(?!\w))"
    return "".join(p if p.startswith("`") else re.sub(marks, r"\\\1", p) for p in parts)


def _prose(lines: list[str]) -> list[str]:
    """Paragraphs, with indented blocks as code."""
    written, block, paragraph = [], [], []

    def close():
        # A whole paragraph, since code may go on over the end of a line.
        written.extend(_escaped("\n".join(paragraph)).split("\n") if paragraph else [])
        while block and not block[-1]:
            block.pop()
        if block:
            written.extend(["```text", *(line[4:] for line in block), "```", ""])
        paragraph.clear()
        block.clear()

    for line in lines:
        if line.startswith("    ") or (block and not line):
            if paragraph:
                close()
            block.append(line)
            continue
        if block or not line:
            close()
        paragraph.append(line)
    close()
    return written


def _entries(lines: list[str]) -> list[str]:
    """`name: text` with hanging lines, as a list."""
    written, lines = [], _escaped("\n".join(lines)).split("\n")
    for line in lines:
        entry = re.match(r"^([\\*\w., `()\[\]]+?):(?: (.*))?$", line)
        if entry and not line.startswith(" "):
            name = entry[1].strip("`").replace("\\", "")
            written.append(f"- `{name}`: {entry[2] or ''}".rstrip())
        elif line.strip():
            written.append(f"  {line.strip()}")
    return written


def _example(lines: list[str]) -> list[str]:
    """Examples as console sessions, text between them as prose."""
    written, session = [], []

    def close():
        if session:
            written.extend(["```pycon", *session, "```", ""])
        session.clear()

    for line in lines:
        if line.startswith((">>>", "...")) or (session and line):
            session.append(line)
        else:
            close()
            written.append(_escaped(line))
    close()
    return written


def _body(docstring: str) -> list[str]:
    written = []
    for name, lines in sections_of(docstring).items():
        if name:
            written += [f"**{name}**", ""]
        if name in ("Args", "Call arguments", "Attributes", "Raises"):
            written += _entries(lines)
        elif name == "Example":
            written += _example(lines)
        else:
            written += _prose(lines)
        written.append("")
    return written


def _signature(thing, name: str) -> str:
    parameters = inspect.signature(thing).parameters.values()
    shown = [str(p.replace(annotation=inspect.Parameter.empty)) for p in parameters]
    one_line = f"{name}({', '.join(shown)})"
    if len(one_line) <= 92:
        return one_line
    return "\n".join([f"{name}(", *(f"    {text}," for text in shown), ")"])


def function_of(name: str) -> str:
    """Returns the name of the function that belongs to a class: `ldam_loss` of `LDAMLoss`."""
    return _WORDS.sub("_", name).lower()


def is_result(thing) -> bool:
    """Whether this is a tuple or data class, which functions make and users only read."""
    return inspect.isclass(thing) and (issubclass(thing, tuple) or is_dataclass(thing))


def items(module) -> dict[str, list[str]]:
    """Returns {page: names on it}: a class with its function is one item."""
    names = [
        name
        for name in module.__all__
        if name not in ("get", "Builder") and callable(getattr(module, name))
    ]
    classes = [name for name in names if inspect.isclass(getattr(module, name))]
    # A function comes after its Keras class, and before the tuple that it returns.
    results = [name for name in classes if is_result(getattr(module, name))]
    pages = {name: [name] for name in classes if function_of(name) not in names}
    for name in classes:
        function = function_of(name)
        if function in names:
            pages.update(
                {function: [function, name]} if name in results else {name: [name, function]}
            )
    shown = {name for group in pages.values() for name in group}
    pages.update({name: [name] for name in names if name not in shown})
    return dict(sorted(pages.items(), key=lambda page: page[0].lower()))


def page(area: str, module, title: str, names: list[str]) -> str:
    """Returns the Markdown of one page."""
    lines = [f"# {title}", ""]
    lines += ["```python", f"from tfphen.{area} import {', '.join(names)}", "```", ""]
    for name in names:
        thing = getattr(module, name)
        if len(names) > 1:
            lines += [f"## {name}", ""]
        if not is_result(thing):
            lines += ["```python", _signature(thing, name), "```", ""]
        lines += _body(thing.__doc__)
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in lines))
    return text.strip() + "\n"


def summary(thing) -> str:
    """Returns the first sentence of a docstring, on one line."""
    first = inspect.cleandoc(thing.__doc__).split("\n\n")[0]
    return _escaped(" ".join(first.split()))


def pages() -> dict[str, str]:
    """Returns {path inside docs/library: text}."""
    import importlib

    written, index, moves = {}, [], []
    for area, heading in AREAS.items():
        module = importlib.import_module(f"tfphen.{area}")
        index += [f"## {heading}", "", "| | |", "|---|---|"]
        for title, names in items(module).items():
            path = f"{area}/{title}.md"
            written[path] = page(area, module, title, names)
            index.append(f"| [`{title}`]({path}) | {summary(getattr(module, names[0]))} |")
            for name in names:
                note = sections_of(getattr(module, name).__doc__).get("Migration")
                if note:
                    moves += [f"## [`{name}`]({path})", "", *_prose(note), ""]
        index.append("")
    head = [
        "# The library",
        "",
        "Layers, losses, metrics, models and optimizers for any Keras 3 model, on every backend.",
        "Each page has the equation, the paper, an example that runs, and when not to use it.",
        "",
        "Coming from edward2, the TensorFlow model garden, PyTorch or stock Keras? "
        "[Migration notes](migration.md).",
        "",
    ]
    written["README.md"] = "\n".join([*head, *index]).strip() + "\n"
    head = ["# Migration notes", "", "What to write here for what you wrote there.", ""]
    text = "\n".join([*head, *moves])
    written["migration.md"] = re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
    return written


def main():
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    made = pages()
    for old in FOLDER.rglob("*.md"):
        if str(old.relative_to(FOLDER)) not in made:
            old.unlink()
    for path, text in made.items():
        target = FOLDER / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    print(f"{len(made)} pages in {FOLDER.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
