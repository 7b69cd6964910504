"""Writes what README, docs and benchmarks/results show, from records alone.

    python tools/showcase.py --out runs/confirm [--paper runs/paper] [--speed runs/speed.json]

It trains nothing. From the small runs below `--out` it writes the figures in docs/figures, the
scoreboard in benchmarks/results, docs/verdicts.md with every finding, and the overview in README.md
between the `verdicts` markers; from the paper runs below `--paper`, benchmarks/results/paper.*,
docs/published.md and the `published` part; from `--speed`, the last line that
benchmarks/speed/population.py printed, the `speed` part.
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


def overview(runs) -> str:
    """A row for each phenomenon, with how many of its findings came out as they should."""
    lines = ["| phenomenon | verdict | signatures present | controls absent | minutes |"]
    lines.append("|---|---|---|---|---|")
    for run in runs:
        kind = run.phenomenon
        kept = {
            role: [found.verdict == wanted for found in run.findings if found.role == role]
            for role, wanted in (("signature", "present"), ("control", "absent"))
        }
        counts = [f"{sum(found)} of {len(found)}" for found in kept.values()]
        minutes = sum(record.seconds for record in run.records.values()) / 60
        title = f"[{kind.title}](docs/verdicts.md#{kind.id}) `{kind.id}`"
        cells = (title, f"**{run.verdict}**", *counts, f"{minutes:.1f}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def verdicts(runs) -> str:
    """A figure and a table of all findings for each phenomenon."""
    from tfphen.report.terminal import interval

    lines = [
        "# What showed, finding by finding",
        "",
        "Small runs, seeds from 1000 up, each run once. Written by tools/showcase.py from the "
        "records; `benchmarks/results/scoreboard.json` has the same numbers for programs.",
        "",
    ]
    for run in runs:
        kind = run.phenomenon
        lines += [f'<a id="{kind.id}"></a>', f"## {kind.title}: {run.verdict}", "", kind.claim, ""]
        lines += [f"Paper: {kind.paper}.", "", f"![{kind.title}](figures/{kind.id}.png)", ""]
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
        lines += [""]
        lines += [f"- `{found.id}`: {found.note}" for found in run.findings if found.note]
        lines += [""]
    return "\n".join(lines).rstrip() + "\n"


COMPARISONS = ("reproduced", "direction only", "inconclusive", "not comparable", "contradicted")


def compared(runs):
    """Yields each run of a paper experiment with the published numbers that it is compared with."""
    for run in runs:
        if found := [one for one in run.published if one.estimate is not None]:
            yield run, found


def published_overview(runs) -> str:
    """A row for each experiment: how many numbers were compared, and how they came out."""
    lines = [f"| experiment | seeds | numbers | {' | '.join(COMPARISONS)} |"]
    lines.append("|---|---|---|" + "---|" * len(COMPARISONS))
    for run, found in compared(runs):
        kinds = [one.verdict for one in found]
        counts = [str(kinds.count(kind) or "") for kind in COMPARISONS]
        name = f"`{run.phenomenon.id}` {run.experiment}"
        lines.append("| " + " | ".join([name, str(run.config.seeds), str(len(found)), *counts]))
        lines[-1] += " |"
    return "\n".join([*lines, ""])


def published(runs) -> str:
    """A row for each published number of an experiment that was run."""
    from tfphen.report import data
    from tfphen.report.terminal import interval

    lines = [
        "# Published numbers beside ours",
        "",
        "Each experiment run once, seeds from 1000 up. Written by tools/showcase.py from the "
        "records; sources, reasons and known differences are in `benchmarks/results/paper.md`.",
        "",
        "| experiment | setting | metric | published | ours, 95 % interval | n | verdict |",
        "|---|---|---|---|---|---|---|",
    ]
    for run, comparisons in compared(runs):
        for found in comparisons:
            ours = found.estimate
            cells = (
                f"`{run.phenomenon.id}` {run.experiment}",
                data.published_setting(found),
                found.number.metric,
                data.published_value(found),
                interval(ours.value, ours.low, ours.high),
                str(ours.n),
                f"**{found.verdict}**",
            )
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


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


def write_results(runs, name: str) -> None:
    """Writes all findings and comparisons of some runs, for programs and for readers."""
    from tfphen.report import data, markdown

    folder = ROOT / "benchmarks" / "results"
    folder.mkdir(parents=True, exist_ok=True)
    entries = json.dumps(data.entries(runs), indent=1, allow_nan=False)
    (folder / f"{name}.json").write_text(entries + "\n", encoding="utf-8")
    (folder / f"{name}.md").write_text(markdown.render(runs), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--paper", type=Path)
    parser.add_argument("--speed", type=Path)
    arguments = parser.parse_args()

    from tfphen.experiment import api, plots

    small = [run for run in api.read_runs(arguments.out) if run.size == "small"]
    write_results(small, "scoreboard")
    docs = ROOT / "docs"
    (docs / "figures").mkdir(parents=True, exist_ok=True)
    for run in small:
        with plots.style():
            path = docs / "figures" / f"{run.phenomenon.id}.png"
            run.figure().savefig(path, dpi=110, metadata={})
    (docs / "verdicts.md").write_text(verdicts(small), encoding="utf-8")
    readme = ROOT / "README.md"
    text = between(readme.read_text(encoding="utf-8"), "verdicts", overview(small))
    if arguments.paper is not None:
        papers = [run for run in api.read_runs(arguments.paper) if run.size == "paper"]
        write_results(papers, "paper")
        (docs / "published.md").write_text(published(papers), encoding="utf-8")
        text = between(text, "published", published_overview(papers))
    if arguments.speed is not None:
        text = between(text, "speed", speed(arguments.speed))
    readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
