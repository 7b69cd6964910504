"""Writes what the README and benchmarks/results show, from records alone.

    python tools/showcase.py --out runs/confirm [--speed runs/speed.json]

It reads the runs below `--out`, trains nothing, and writes the figures in docs/figures, the
scoreboard in benchmarks/results, and the parts of README.md between the `verdicts` and `speed`
markers. `--speed` is the last line that benchmarks/speed/population.py printed.
"""

import argparse
import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def between(text: str, name: str, body: str) -> str:
    """Replaces what stands between the two markers called `name`."""
    pattern = rf"(<!-- {name}: begin [^>]*-->\n).*?(<!-- {name}: end -->)"
    found, count = re.subn(pattern, lambda m: m[1] + body + m[2], text, flags=re.DOTALL)
    if count != 1:
        raise SystemExit(f"README.md has no pair of markers {name!r}")
    return found


def verdicts(runs) -> str:
    """A table of all findings of the small runs, and a figure for each phenomenon."""
    from tfphen.report.terminal import interval

    lines = []
    for run in runs:
        kind = run.phenomenon
        lines += [f"### {kind.title}: {run.verdict}", "", kind.claim, ""]
        lines += [f"![{kind.title}](docs/figures/{kind.id}.png)", ""]
        lines += ["| | statistic | estimate, 95 % interval | n | shows if | verdict |"]
        lines += ["|---|---|---|---|---|---|"]
        for found in run.findings:
            estimate = found.estimate
            cells = (
                f"{found.role} `{found.id}`",
                estimate.statistic,
                interval(estimate.value, estimate.low, estimate.high),
                str(estimate.n),
                found.threshold,
                f"**{found.verdict}**",
            )
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def speed(path: Path) -> str:
    """A table of milliseconds a step and model, and of ratios to the peers."""
    figures = json.loads(path.read_text(encoding="utf-8").strip().splitlines()[-1])
    peers = {"fit_ms": "Keras `fit`", "torch_ms": "PyTorch", "jax_ms": "JAX vmap + scan"}
    lines = [
        "Milliseconds a step and model, batch 100, two CPU cores, medians of paired rounds:",
        "",
    ]
    lines.append("| model | tfphen | " + " | ".join(peers.values()) + " |")
    lines.append("|---|---|" + "---|" * len(peers))
    for model, row in figures.items():
        cells = [model, f"{row['ours_ms']:.3g}"]
        for key in peers:
            theirs = row[key]
            ratio = (
                "not installed"
                if theirs is None
                else f"{theirs:.3g} ({theirs / row['ours_ms']:.1f}×)"
            )
            cells.append(ratio)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--speed", type=Path)
    arguments = parser.parse_args()

    from tfphen import api
    from tfphen.report import data, markdown, plots

    runs = api.read_runs(arguments.out)
    small = [run for run in runs if run.size == "small"]
    results = ROOT / "benchmarks" / "results"
    results.mkdir(parents=True, exist_ok=True)
    entries = json.dumps(data.entries(runs), indent=1, allow_nan=False)
    (results / "scoreboard.json").write_text(entries + "\n", encoding="utf-8")
    (results / "scoreboard.md").write_text(markdown.render(runs), encoding="utf-8")
    figures = ROOT / "docs" / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    for run in small:
        with plots.style():
            run.figure().savefig(figures / f"{run.phenomenon.id}.png", dpi=110, metadata={})
    readme = ROOT / "README.md"
    text = between(readme.read_text(encoding="utf-8"), "verdicts", verdicts(small))
    if arguments.speed is not None:
        text = between(text, "speed", speed(arguments.speed))
    readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
