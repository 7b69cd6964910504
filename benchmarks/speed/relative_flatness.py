"""Times relative flatness in closed form against automatic differentiation, side by side.

    python benchmarks/speed/relative_flatness.py [--rounds 5] [--examples 500] [--quick]

One dense layer of 512 features and 10 classes on softmax cross-entropy, on the CPU. `closed` is
`tfphen.metrics.relative_flatness`, in float64. `hessian` builds the layer's whole Hessian,
5120 × 5120 float32, as the Jacobian of the gradient, and contracts it by the definition of the
measure: what published code does. `products` is `relative_flatness_of_layer`, which works for any
layer of any model: the exact value from 5120 Hessian-vector products.

Rounds alternate, after a warm-up of each that also compiles. A ratio compares two neighbors of one
round; its median, smallest and largest over rounds are printed, because a busy machine moves all
times together. The three values are compared too, and the script fails where they differ.

What to expect on two cores: about a minute and 2 GB of memory; equal values to 1e-6; the closed
form, on one thread, in one to four milliseconds, hundreds of times faster than the Hessian.

The last line is JSON: `{closed_ms, hessian_ms, products_ms, hessian_ratio, hessian_ratio_min,
hessian_error, products_ratio, products_ratio_min, products_error}`: medians, how many times longer
the others take than the closed form, the smallest such ratio, and relative differences of values.
"""

import argparse
import json
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
# Of NumPy alone: on busy cores its threads wait for each other longer than the product takes.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from tfphen.metrics import relative_flatness, relative_flatness_of_layer

FEATURES, CLASSES = 512, 10
TITLES = {
    "closed": "closed form, float64",
    "hessian": "whole Hessian by automatic differentiation",
    "products": "exact, by Hessian-vector products",
}


def runners(examples: int, features: int):
    """Returns {name: function that computes the measure} for one layer and its data."""
    generator = np.random.default_rng(0)
    inputs = np.maximum(generator.normal(size=(examples, features)), 0).astype("float32")
    labels = generator.integers(0, CLASSES, examples).astype("int32")
    start = keras.initializers.GlorotUniform(seed=1)
    dense = keras.layers.Dense(CLASSES, kernel_initializer=start)
    model = keras.Sequential([keras.Input((features,)), dense])
    kernel, bias = dense.get_weights()

    @tf.function
    def hessian(weights):
        with tf.GradientTape() as outer:
            outer.watch(weights)
            with tf.GradientTape() as inner:
                inner.watch(weights)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                    labels, inputs @ weights + bias
                )
                loss = tf.reduce_mean(losses)
            gradient = inner.gradient(loss, weights)
        return outer.jacobian(gradient, weights)

    def contracted():
        traces = np.einsum("jsjt->st", hessian(tf.constant(kernel)).numpy())
        return float(((kernel.T @ kernel) * traces).sum())

    def products():
        return relative_flatness_of_layer(model, dense, inputs, labels, batch_size=examples).value

    return {
        "closed": lambda: relative_flatness(inputs, kernel, bias, labels),
        "hessian": contracted,
        "products": products,
    }


def timed(function, repeats: int) -> tuple[float, float]:
    """Returns milliseconds of one call, the mean of some, and the value."""
    start = time.perf_counter()
    for _ in range(repeats):
        value = function()
    return 1e3 * (time.perf_counter() - start) / repeats, value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each (default 5)")
    parser.add_argument("--examples", type=int, default=500, help="rows of data (default 500)")
    parser.add_argument(
        "--quick", action="store_true", help="a small layer: tries it, times nothing"
    )
    arguments = parser.parse_args()
    rounds = 2 if arguments.quick else max(arguments.rounds, 1)
    examples = 50 if arguments.quick else max(arguments.examples, 2)
    features = 16 if arguments.quick else FEATURES
    console = Console(width=110, highlight=False)
    functions = runners(examples, features)
    values = {name: function() for name, function in functions.items()}
    times = {name: [] for name in functions}
    for number in range(rounds):
        for name, function in functions.items():
            times[name].append(timed(function, 20 if name == "closed" else 1)[0])
        console.print(f"round {number + 1} of {rounds}", style="dim")
    table = Table(title=f"Relative flatness of {features} × {CLASSES} weights, {examples} examples")
    for heading in ("how", "ms, median (smallest–largest)", "times the closed form", "difference"):
        table.add_column(heading)
    figures = {f"{name}_ms": statistics.median(taken) for name, taken in times.items()}
    for name, taken in times.items():
        ratios = [mine / closed for mine, closed in zip(taken, times["closed"], strict=True)]
        error = abs(values[name] / values["closed"] - 1)
        spread = f"({min(ratios):.3g}–{max(ratios):.3g})"
        table.add_row(
            TITLES[name],
            f"{statistics.median(taken):.3g} ({min(taken):.3g}–{max(taken):.3g})",
            "" if name == "closed" else f"{statistics.median(ratios):.3g} {spread}",
            f"{error:.1e}",
        )
        if name != "closed":
            figures[f"{name}_ratio"] = statistics.median(ratios)
            figures[f"{name}_ratio_min"] = min(ratios)
            figures[f"{name}_error"] = error
            if error > 1e-5:
                raise SystemExit(f"{TITLES[name]} gives {values[name]}, not {values['closed']}.")
    console.print(table)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
