"""Writes the current ids of findings into recorded results, without running anything again.

    python tools/rename_findings.py

Each room maps former ids to current ones in `renamed_findings.json`. Numbers, verdicts and order
stay as they are; an id that is current already is left alone.
"""

import json
import re
from pathlib import Path

from tfphen.experiment import phenomenon

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"


def rename_entries(entries: list[dict]) -> list[dict]:
    """Returns the entries of a JSON report with current ids."""
    renamed = []
    for entry in entries:
        kind = phenomenon.get(entry["id"])
        findings = [one | {"id": kind.current_finding_id(one["id"])} for one in entry["signatures"]]
        renamed.append(entry | {"signatures": findings})
    return renamed


def rename_markdown(text: str) -> str:
    """Returns a Markdown report with current ids, section by section."""
    identifier, lines = None, []
    for line in text.split("\n"):
        section = re.fullmatch(r'<a id="(\w+)"></a>|## (\w+)', line)
        if section:
            identifier = section[1] or section[2]
        if identifier in phenomenon.known():
            kind = phenomenon.get(identifier)
            # In a table's first cell, or between backquotes.
            line = re.sub(
                r"(?<=^\| )([\w.]+)(?= \|)|(?<=`)([\w.]+)(?=`)",
                lambda match, kind=kind: kind.current_finding_id(match[0]),
                line,
            )
        lines.append(line)
    return "\n".join(lines)


def main() -> None:
    """Rewrites the recorded results."""
    for path in sorted(RESULTS.glob("*.json")):
        entries = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(entries, list):
            text = json.dumps(rename_entries(entries), indent=1, ensure_ascii=False)
            path.write_text(text + "\n", encoding="utf-8")
    for path in (*sorted(RESULTS.glob("*.md")), ROOT / "docs" / "verdicts.md"):
        path.write_text(rename_markdown(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
