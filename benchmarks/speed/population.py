"""Times a population of trainings against Keras `fit`, PyTorch and JAX, side by side on the CPU.

    python benchmarks/speed/population.py [--rounds 7] [--models mlp cnn lenet] [--quick]

Three models, batch 100, 4000 resident examples, Adam: an MLP (32 members), a 1-D CNN (8 members)
and LeNet-5 (2 members). `ours` trains ordinary Keras models as one population, `alone` a
population of one. Peers: Keras `fit` (one stock model, `jit_compile="auto"`), PyTorch (one model,
eager, one thread) and JAX (`vmap` over as many members as ours, `lax.scan` over steps, convolutions
as patches times a matrix). Rounds alternate, ours, alone, fit, torch, jax, ours and so on, after a
warm-up round of each that also compiles. Times are milliseconds a step and model; a ratio compares
two neighbors of one round, and its median, smallest and largest over rounds are printed, because
a busy machine moves all times together. The peak fraction is the step's FLOP/s over that of a
4096 × 4096 float32 matrix product, the best of those measured before each model.

TensorFlow, PyTorch and JAX each bring threads of their own, which fight when they live in one
process. So each framework has a process that stays alive and waits on a pipe until it is told to
run one round: only one works at a time.

What to expect on two idle cores: about two minutes; the MLP at about 1/25 of the time of `fit` and
0.7 of that of JAX, the CNN at 1/10 and 0.6, LeNet at 0.4 of `fit` and 0.35 of PyTorch. Where other
programs keep the cores busy, whatever uses both cores loses more than PyTorch's one thread and the
Python around `fit`. PyTorch and JAX come with `pip install tfphen[peers]`; one that is missing is
left out, with the reason.

The last line is JSON: `{model: {ours_ms, fit_ms, torch_ms, jax_ms, peak_fraction}}`, medians, null
for a peer that is not installed.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TextIO

import cases
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
RUNNERS = {"ours": "engine", "alone": "engine", "fit": "keras", "torch": "torch", "jax": "jax"}
PEERS = ("fit", "torch", "jax")
TITLES = {
    "ours": "tfphen, {} members",
    "alone": "tfphen, alone",
    "fit": "Keras fit",
    "torch": "PyTorch eager",
    "jax": "JAX vmap, {} members",
}


class Worker:
    """A process that runs the rounds of one framework, until `stack` is left."""

    def __init__(self, stack: contextlib.ExitStack, log: TextIO):
        paths = [str(HERE.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(paths),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "KERAS_BACKEND": "tensorflow",
            # Both look at the CPU only.
            "CUDA_VISIBLE_DEVICES": "-1",
            "JAX_PLATFORMS": "cpu",
        }
        self.log = log
        self.process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, str(HERE / "worker.py")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment,
            )
        )

    def ask(self, **request) -> dict:
        """Sends one request and waits for its answer."""
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError):
            self.log.seek(0)
            raise SystemExit(f"A worker failed at {request}:\n{self.log.read()[-3000:]}") from None


def time_model(name, workers, rounds, quick, console) -> tuple[dict, dict]:
    """Returns milliseconds a step and model by runner, one a round, and why runners are missing."""
    case, missing = cases.CASES[name], {}
    steps = {key: 4 if quick else count for key, count in case.steps.items()}
    for runner, worker in RUNNERS.items():
        answer = workers[worker].ask(prepare=[runner, name])
        if "missing" in answer:
            missing[runner] = answer["missing"]
        else:
            workers[worker].ask(round=[runner, name, steps[runner]])
    times = {runner: [] for runner in RUNNERS if runner not in missing}
    for number in range(rounds):
        for runner in times:
            answer = workers[RUNNERS[runner]].ask(round=[runner, name, steps[runner]])
            models = case.members if runner in ("ours", "jax") else 1
            times[runner].append(1e3 * answer["seconds"] / steps[runner] / models)
        console.print(f"{case.title}: round {number + 1} of {rounds}", style="dim")
    return times, missing


def _digits(value: float) -> str:
    return f"{value:.3g}"


def add_rows(table: Table, name: str, times: dict, missing: dict, flops: int, peak: float) -> None:
    """Adds the rows of one model to the table."""
    case = cases.CASES[name]
    for runner, title in TITLES.items():
        title = title.format(case.members)
        if runner in missing:
            table.add_row(case.title, title, "not installed", "", "", "")
            continue
        mine = times[runner]
        middle = statistics.median(mine)
        ratio = goal = ""
        if runner in PEERS:
            ratios = [ours / theirs for ours, theirs in zip(times["ours"], mine, strict=True)]
            spread = f"({_digits(min(ratios))}–{_digits(max(ratios))})"
            ratio = f"{_digits(statistics.median(ratios))} {spread}"
            goal = f"≤ {_digits(case.goals[runner])}" if runner in case.goals else ""
        table.add_row(
            case.title,
            title,
            f"{_digits(middle)} ({_digits(min(mine))}–{_digits(max(mine))})",
            ratio,
            goal,
            f"{flops / (middle / 1e3) / peak:.1%}",
        )
    table.add_section()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="rounds of each model (default 7)")
    parser.add_argument(
        "--models", nargs="+", choices=cases.CASES, default=list(cases.CASES), metavar="MODEL"
    )
    parser.add_argument("--quick", action="store_true", help="a few steps: tries it, times nothing")
    arguments = parser.parse_args()
    rounds = 2 if arguments.quick else max(arguments.rounds, 1)
    console = Console(width=118, highlight=False)
    results, peaks, figures = {}, [], {}
    with tempfile.TemporaryFile("w+") as log, contextlib.ExitStack() as stack:
        workers = {name: Worker(stack, log) for name in dict.fromkeys(RUNNERS.values())}
        for name in arguments.models:
            if not (arguments.quick and peaks):
                peaks.append(workers["engine"].ask(peak=True)["value"])
            times, missing = time_model(name, workers, rounds, arguments.quick, console)
            results[name] = times, missing, workers["engine"].ask(flops=name)["value"]
    peak = max(peaks)
    table = Table(title="Milliseconds a step and model, median (smallest–largest) of paired rounds")
    for heading in ("model", "runner", "ms", "ours / this", "goal", "of peak"):
        table.add_column(heading)
    for name, (times, missing, flops) in results.items():
        add_rows(table, name, times, missing, flops, peak)
        medians = {runner: statistics.median(values) for runner, values in times.items()}
        figures[name] = {f"{key}_ms": medians.get(key) for key in ("ours", *PEERS)}
        figures[name]["peak_fraction"] = flops / (medians["ours"] / 1e3) / peak
    console.print(table)
    console.print(f"Peak: {peak / 1e9:.0f} GFLOP/s, a 4096 × 4096 float32 matrix product.")
    for runner, reason in {k: v for _, m, _ in results.values() for k, v in m.items()}.items():
        console.print(f"{TITLES[runner].split(',')[0]} was left out: {reason}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
