"""Times a training step with a Gaussian process head against one with a Dense head, on the CPU.

    python benchmarks/speed/gaussian_process_head.py [--rounds 5] [--cases head mlp wrn] [--quick]

640 features, 10 classes, 1024 random features, batch 128, SGD with momentum, Keras `fit` without
XLA (which is slow for convolutions on a CPU). The features are those of WRN-28-10; a step of it
takes half a minute here, so a smaller network stands in for it:

    head  the heads alone on 640 inputs: what the Gaussian process costs, with nothing around it
    mlp   Dense 784-640-640 before the head: about the smallest network that one would put it on
    wrn   WRN-10-10 on images of 16 × 16, 640 features, 1/20 of the work of WRN-28-10 on 32 × 32

Spectral normalization is not part of any. The precision is summed in every step.

Rounds alternate between the heads, after a warm-up of each that also traces. A ratio compares two
neighbors of one round; its median, smallest and largest over rounds are printed, because a busy
machine moves all times together. With other programs on both cores ratios of the WRN were seen to
spread from 0.7 to 1.4: then more rounds, or an idle machine.

What to expect on two idle cores: about a minute and a half. The head costs some 4 ms more than a
Dense layer: a bare step takes about twice as long, that of the MLP 1.7 times, and that of the WRN
as long as before, far within the goal of 1.10.

The last line is JSON: `{case: {dense_ms, gp_ms, ratio, ratio_min, ratio_max}}`.
"""

import argparse
import json
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import keras
import numpy as np
from rich.console import Console
from rich.table import Table

from tfphen.layers import RandomFeatureGaussianProcess
from tfphen.models import wide_resnet

BATCH, CLASSES, FEATURES, INDUCING = 128, 10, 640, 1024
GOAL = 1.10
# Title, inputs, steps of a round, whether the goal is for it.
CASES = {
    "head": ("head alone", (FEATURES,), 50, False),
    "mlp": ("MLP 784-640-640", (784,), 50, False),
    "wrn": ("WRN-10-10, 16 × 16", (16, 16, 3), 3, True),
}


def body(name: str) -> keras.Model:
    """The network before the head: inputs of the case -> `[batch, 640]`."""
    if name == "wrn":
        network = wide_resnet(CASES[name][1], CLASSES, depth=10, width=10)
        return keras.Model(network.input, network.get_layer("features").output)
    x = inputs = keras.Input(CASES[name][1])
    for number in range(2 if name == "mlp" else 0):
        start = keras.initializers.GlorotUniform(seed=number)
        x = keras.layers.Dense(FEATURES, "relu", kernel_initializer=start)(x)
    return keras.Model(inputs, x)


def trainer(name: str, head: str, steps: int):
    """Returns a function that trains for one round and returns milliseconds a step."""
    network = body(name)
    if head == "dense":
        start = keras.initializers.GlorotUniform(seed=9)
        layer = keras.layers.Dense(CLASSES, kernel_initializer=start)
    else:
        layer = RandomFeatureGaussianProcess(CLASSES, INDUCING)
    model = keras.Model(network.input, layer(network.output))
    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(steps * BATCH, *CASES[name][1])).astype("float32")
    labels = generator.integers(0, CLASSES, len(inputs))

    def round_():
        start = time.perf_counter()
        model.fit(inputs, labels, batch_size=BATCH, shuffle=False, verbose=0)
        return 1e3 * (time.perf_counter() - start) / steps

    return round_


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each (default 5)")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES), metavar="CASE")
    parser.add_argument("--quick", action="store_true", help="a few steps: tries it, times nothing")
    arguments = parser.parse_args()
    rounds = 2 if arguments.quick else max(arguments.rounds, 1)
    console = Console(width=110, highlight=False)
    table = Table(title=f"Milliseconds a training step, median (smallest–largest) of {rounds}")
    for heading in ("network", "Dense head", "GP head", "GP / Dense", "goal"):
        table.add_column(heading)
    figures = {}
    for name in arguments.cases:
        title, _, steps, judged = CASES[name]
        steps = 1 if arguments.quick else steps
        trainers = {head: trainer(name, head, steps) for head in ("dense", "gp")}
        for round_ in trainers.values():
            round_()
        times = {head: [] for head in trainers}
        for number in range(rounds):
            # The order alternates too, or a load that grows would count against one head.
            for head in list(trainers)[:: 1 if number % 2 == 0 else -1]:
                times[head].append(trainers[head]())
            console.print(f"{title}: round {number + 1} of {rounds}", style="dim")
        ratios = [gp / dense for gp, dense in zip(times["gp"], times["dense"], strict=True)]
        cells = [
            f"{statistics.median(taken):.3g} ({min(taken):.3g}–{max(taken):.3g})"
            for taken in (times["dense"], times["gp"], ratios)
        ]
        table.add_row(title, *cells, f"≤ {GOAL:.2f}" if judged else "")
        figures[name] = {
            "dense_ms": statistics.median(times["dense"]),
            "gp_ms": statistics.median(times["gp"]),
            "ratio": statistics.median(ratios),
            "ratio_min": min(ratios),
            "ratio_max": max(ratios),
        }
    console.print(table)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
