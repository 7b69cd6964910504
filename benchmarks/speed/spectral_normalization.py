"""Times a training step of spectrally normalized 3×3 convolutions against plain ones, on the CPU.

    python benchmarks/speed/spectral_normalization.py [--rounds 9] [--batch 32] [--quick]

The three sizes of a WRN-28-10 on 32×32 images: 160 channels at 32×32, 320 at 16×16 and 640 at 8×8.
A step is forward, gradients in kernel, bias and input (as inside a network) and a Keras SGD update,
in one `tf.function` without XLA. Normalized layers have the default settings and a cap that is
active: the loss falls as outputs grow, and a step of learning rate 0.1 changes a kernel by about a
thousandth. Larger changes cost more, because the vectors then take more iterations to follow.

Both run in one process: in a round each runs a few steps, in an order that alternates between
rounds. A ratio compares the two neighbors of a round; printed are the median over rounds and the
interval of the order statistics that holds the true median with at least 95 %, for which six rounds
are needed (with fewer: smallest and largest). The goal is met or missed where the whole interval
is. The network's ratio takes equal numbers of the three sizes, as the WRN has.

Goal: 1.25 or less. An iteration is one convolution and one transpose for a batch of one; a
training step has one before the forward pass, two or more after the update, and a few products of
the kernel with a number. What to expect on two idle cores, batch 32: 1.1 to 1.2. Smaller batches
pay more: the cost does not depend on the batch.

The last line is JSON: `{size: {ratio, low, high, plain_ms, normalized_ms}}`, with "network".
"""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

SIZES = {"32x32x160": (32, 160), "16x16x320": (16, 320), "8x8x640": (8, 640)}
LIMIT = 1.25


def make_step(size: int, channels: int, batch: int, normalized: bool):
    """Returns a function that runs a number of training steps and waits for them."""
    import keras
    import tensorflow as tf

    from tfphen.layers.spectral_normalization import SpectralNormalization

    start = keras.initializers.HeNormal(seed=1)
    layer = keras.layers.Conv2D(channels, 3, padding="same", kernel_initializer=start)
    if normalized:
        layer = SpectralNormalization(layer, norm_multiplier=0.95)
    shape = (batch, size, size, channels)
    layer.build(shape)
    inputs = tf.random.stateless_normal(shape, seed=(1, 2))
    optimizer = keras.optimizers.SGD(0.1)
    optimizer.build(layer.trainable_variables)

    @tf.function(jit_compile=False)
    def step():
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs, training=True)
            # Falls as outputs grow, so that the cap stays active.
            loss = -tf.reduce_mean(tf.square(outputs))
        variables = layer.trainable_variables
        *gradients, back = tape.gradient(loss, [*variables, inputs])
        optimizer.apply(gradients, variables)
        return loss + tf.reduce_sum(back)

    def run(steps: int) -> float:
        begin = time.perf_counter()
        for _ in range(steps):
            value = step()
        float(value)
        return (time.perf_counter() - begin) / steps * 1e3

    return run


def median_interval(values) -> tuple[float, float, float]:
    """Returns the median and an interval of order statistics that holds the true one with 95 %."""
    from scipy import stats

    values = sorted(values)
    rank = max(int(stats.binom.ppf(0.025, len(values), 0.5)), 1)
    return statistics.median(values), values[rank - 1], values[-rank]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9, help="rounds of each size (default 9)")
    parser.add_argument("--batch", type=int, default=32, help="examples a step (default 32)")
    parser.add_argument("--quick", action="store_true", help="two steps: tries it, times nothing")
    arguments = parser.parse_args()
    rounds, steps = (1, 1) if arguments.quick else (max(arguments.rounds, 1), 3)
    times = {}
    for name, (size, channels) in SIZES.items():
        runs = [make_step(size, channels, arguments.batch, flag) for flag in (False, True)]
        for run in runs:
            run(1 if arguments.quick else 2)
        times[name] = []
        for number in range(rounds):
            pair = {which: runs[which](steps) for which in ((0, 1), (1, 0))[number % 2]}
            times[name].append((pair[0], pair[1]))
            print(f"{name}: round {number + 1} of {rounds}", file=sys.stderr)
    times["network"] = [
        tuple(sum(pair[which] for pair in pairs) for which in (0, 1))
        for pairs in zip(*times.values(), strict=True)
    ]
    figures = {}
    print(f"batch {arguments.batch}     plain ms   normalized ms   ratio (95 %)   goal {LIMIT}")
    for name, pairs in times.items():
        ratio, low, high = median_interval([after / before for before, after in pairs])
        plain, normalized = (statistics.median(column) for column in zip(*pairs, strict=True))
        verdict = "met" if high <= LIMIT else "missed" if low > LIMIT else "inconclusive"
        numbers = f"{plain:10.1f} {normalized:13.1f}   {ratio:.3f} ({low:.3f}–{high:.3f})"
        print(f"{name:11} {numbers}   {'' if arguments.quick else verdict}")
        figures[name] = {
            "ratio": ratio,
            "low": low,
            "high": high,
            "plain_ms": plain,
            "normalized_ms": normalized,
        }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
