"""SNGP on two moons: uncertainty that grows with the distance to the training data.

    python examples/sngp_two_moons.py [--out sngp_two_moons.png] [--seeds 10] [--epochs 40]

Trains a small residual network twice on two moons: with a Dense head, and as SNGP. Prints, for each
seed and as a mean with Student's 95 % interval over seeds:

- rho: Spearman's correlation, over a grid, of the uncertainty with the distance to the nearest
  training point. The uncertainty is the predictive variance of SNGP and 1 - max p of the plain
  network;
- confidence: the mean of max p on a cluster far from the training data, where 0.5 would be honest;
- accuracy on moons that were not trained on;
- control: rho of SNGP's variance with nothing in its precision, so that it has seen no data. It
  must not be high, or rho would not be about the training data.

What to expect: rho near 0.9 for SNGP and below 0 for the plain network, which is surest where it
has no data; confidence near 0.55 and 1.0; equal accuracy. Ten seeds take about 3 minutes on
two CPU cores. The picture shows the first seed, and all of them in its last panel.
"""

import argparse
import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import matplotlib
import numpy as np
from scipy import spatial, stats

from tfphen.layers import SNGP, mean_field_logits

HORIZONTAL, VERTICAL = (-3.5, 3.5), (-2.5, 2.5)
MEASURES = {
    "rho_sngp": "rho, SNGP variance",
    "rho_plain": "rho, plain 1 - max p",
    "rho_difference": "rho, difference",
    "confidence_sngp": "far confidence, SNGP",
    "confidence_plain": "far confidence, plain",
    "confidence_difference": "far confidence, plain - SNGP",
    "accuracy_sngp": "accuracy, SNGP",
    "accuracy_plain": "accuracy, plain",
    "accuracy_difference": "accuracy, SNGP - plain",
    "rho_control": "control: rho, no data",
}


def moons(count, generator):
    """Two half circles with noise 0.1, moved apart, `[count, 2]`, and their labels `[count]`."""
    labels = np.arange(count) % 2
    angles = generator.uniform(0, np.pi, count)
    upper = np.stack([np.cos(angles) - 0.1, np.sin(angles) + 0.2], -1)
    lower = np.stack([1.1 - np.cos(angles), 0.3 - np.sin(angles)], -1)
    points = np.where(labels[:, None] == 0, upper, lower)
    return (points + 0.1 * generator.normal(size=points.shape)).astype("float32"), labels


def backbone(seed):
    """Six residual layers on a frozen random map of the plane, `[batch, 2]` -> `[batch, 128]`."""

    def dense(number, **settings):
        start = keras.initializers.GlorotUniform(100 * seed + number)
        return keras.layers.Dense(128, kernel_initializer=start, **settings)

    inputs = keras.Input((2,))
    x = dense(0, trainable=False)(inputs)
    for number in range(1, 7):
        change = dense(number, activation="relu")(x)
        change = keras.layers.Dropout(0.1, seed=100 * seed + 10 + number)(change)
        x = keras.layers.Add()([x, change])
    return keras.Model(inputs, x)


def build(seed):
    """The plain network and SNGP, untrained."""
    features = backbone(seed)
    start = keras.initializers.GlorotUniform(100 * seed + 99)
    head = keras.layers.Dense(2, kernel_initializer=start)(features.output)
    plain = keras.Model(features.input, head)
    sngp = SNGP(backbone(seed), 2, norm_multiplier=0.9, seed=seed)
    for model in (plain, sngp):
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(1e-3), loss, jit_compile=False)
        model.optimizer.build(model.trainable_variables)
    return plain, sngp


def restart(model, fresh):
    """Puts a trained model where a fresh one is: quicker than to trace the fresh one's training."""
    states = [[*each.variables, *each.optimizer.variables] for each in (model, fresh)]
    for variable, start in zip(*states, strict=True):
        variable.assign(start)


def train(model, points, labels, epochs, seed):
    # The order of the examples comes from Keras's own seed.
    keras.utils.set_random_seed(seed)
    model.fit(points, labels, batch_size=128, epochs=epochs, verbose=0)


def softmax(logits):
    return keras.ops.convert_to_numpy(keras.ops.softmax(logits, axis=-1))


def run(plain, sngp, seed, epochs, grid):
    """Trains both networks; returns measures by name, and surfaces for the picture."""
    generator = np.random.default_rng(seed)
    points, labels = moons(1000, generator)
    fresh, fresh_labels = moons(1000, generator)
    far = (generator.normal(size=(500, 2)) * 0.1 + [2.5, -1.75]).astype("float32")
    parts = np.cumsum([len(grid), len(far)])
    everything = np.concatenate([grid, far, fresh])
    distance = spatial.cKDTree(points).query(grid)[0]

    train(plain, points, labels, epochs, seed)
    plain_p = np.split(softmax(plain(everything, training=False)), parts)

    train(sngp, points, labels, epochs, seed)
    sngp.fit_covariance(points, batch_size=1000)
    predictor = sngp.variance_model()
    logits, variance = predictor(everything, training=False)
    sngp_p = np.split(softmax(mean_field_logits(logits, variance)), parts)
    variance = keras.ops.convert_to_numpy(variance)[: len(grid)]
    sngp.reset_covariance()
    sngp.update_covariance()
    prior = keras.ops.convert_to_numpy(predictor(grid, training=False)[1])

    found = {}
    for name, p, uncertainty in (
        ("sngp", sngp_p, variance),
        ("plain", plain_p, 1 - plain_p[0].max(-1)),
    ):
        found[f"rho_{name}"] = stats.spearmanr(uncertainty, distance).statistic
        found[f"confidence_{name}"] = p[1].max(-1).mean()
        found[f"accuracy_{name}"] = (p[2].argmax(-1) == fresh_labels).mean()
    found["rho_difference"] = found["rho_sngp"] - found["rho_plain"]
    found["confidence_difference"] = found["confidence_plain"] - found["confidence_sngp"]
    found["accuracy_difference"] = found["accuracy_sngp"] - found["accuracy_plain"]
    found["rho_control"] = stats.spearmanr(prior, distance).statistic
    surfaces = {
        "points": points,
        "labels": labels,
        "far": far,
        "distance": distance,
        "variance": variance,
        "sngp": 1 - sngp_p[0].max(-1),
        "plain": 1 - plain_p[0].max(-1),
    }
    return found, surfaces


def interval(values):
    """Mean over seeds and Student's 95 % interval; no interval from a single seed."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, float("nan"), float("nan")
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return mean, mean - half, mean + half


def by_distance(surfaces, key, edges):
    """Median uncertainty in each bin of distance."""
    bins = np.digitize(surfaces["distance"], edges) - 1
    return [np.median(surfaces[key][bins == number]) for number in range(len(edges) - 1)]


def draw(results, side, path):
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    plt.rcParams.update({"font.size": 11, "axes.titlesize": 12, "axes.titleweight": "bold"})
    figure, axes = plt.subplots(2, 2, figsize=(11.5, 8.2), layout="constrained")
    first = results[0]
    panels = (
        (axes[0, 0], "plain", "Plain network: 1 - max p", 0.5),
        (axes[0, 1], "sngp", "SNGP: 1 - max p", 0.5),
        (axes[1, 0], "variance", "SNGP: predictive variance", 1.0),
    )
    for ax, key, title, top in panels:
        image = ax.imshow(
            first[key].reshape(side, side),
            origin="lower",
            extent=(*HORIZONTAL, *VERTICAL),
            cmap="magma",
            vmin=0,
            vmax=top,
            interpolation="bilinear",
            aspect="auto",
        )
        for label, color in enumerate(("#4cc9f0", "#ffd166")):
            chosen = first["points"][first["labels"] == label]
            ax.scatter(*chosen.T, s=5, color=color, linewidth=0, label=f"training, class {label}")
        ax.scatter(*first["far"].T, s=5, color="#95d5b2", linewidth=0, label="far cluster")
        ax.set(title=title, xlim=HORIZONTAL, ylim=VERTICAL, xticks=[], yticks=[])
        figure.colorbar(image, ax=ax, pad=0.02)
    axes[0, 0].legend(loc="upper right", markerscale=3, framealpha=0.85, fontsize=9)
    edges = np.linspace(0, 2.4, 13)
    centers = (edges[1:] + edges[:-1]) / 2
    ax = axes[1, 1]
    lines = (
        ("variance", "#7b2cbf", "SNGP variance"),
        ("sngp", "#e76f51", "SNGP 1 - max p"),
        ("plain", "#457b9d", "plain 1 - max p"),
    )
    for key, color, title in lines:
        curves = np.array([by_distance(surfaces, key, edges) for surfaces in results])
        ax.plot(centers, curves.T, color=color, alpha=0.25, linewidth=1)
        ax.plot(centers, curves.mean(0), color=color, linewidth=2.5, label=title)
    ax.set(
        title=f"Uncertainty and distance, {len(results)} seed{'s' * (len(results) > 1)}",
        xlabel="distance to the nearest training point",
        ylabel="median uncertainty",
        ylim=(0, None),
    )
    ax.grid(alpha=0.3)
    ax.legend(frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="sngp_two_moons.png", help="the picture")
    parser.add_argument("--seeds", type=int, default=10, help="how many (default 10)")
    parser.add_argument("--first-seed", type=int, default=0, help="the first of them (default 0)")
    parser.add_argument("--epochs", type=int, default=40, help="of training (default 40)")
    parser.add_argument("--side", type=int, default=100, help="grid points a side (default 100)")
    options = parser.parse_args(arguments)
    if min(options.seeds, options.epochs) < 1 or options.side < 8 or options.first_seed < 0:
        parser.error("--seeds and --epochs are at least 1, --side 8 and --first-seed 0")
    rows = np.linspace(*VERTICAL, options.side)
    columns = np.linspace(*HORIZONTAL, options.side)
    grid = np.stack([axis.ravel() for axis in np.meshgrid(columns, rows)], -1).astype("float32")
    print("seed  rho: SNGP  plain  control   confidence: SNGP  plain   accuracy: SNGP  plain")
    table, results = [], []
    models = build(options.first_seed)
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        if seed > options.first_seed:
            for model, fresh in zip(models, build(seed), strict=True):
                restart(model, fresh)
        found, surfaces = run(*models, seed, options.epochs, grid)
        table.append(found)
        results.append(surfaces)
        print(
            f"{seed:4d} {found['rho_sngp']:10.3f} {found['rho_plain']:6.3f} "
            f"{found['rho_control']:8.3f} {found['confidence_sngp']:18.3f} "
            f"{found['confidence_plain']:6.3f} {found['accuracy_sngp']:16.3f} "
            f"{found['accuracy_plain']:6.3f}",
            flush=True,
        )
    print(f"\nmean over {options.seeds} seeds and 95 % interval")
    summary = {}
    for key, title in MEASURES.items():
        summary[key] = interval([found[key] for found in table])
        mean, low, high = summary[key]
        print(f"{title:30s} {mean:7.3f}  [{low:.3f}, {high:.3f}]")
    draw(results, options.side, options.out)
    print(f"\nThe picture is in {options.out}")
    return summary


if __name__ == "__main__":
    main()
