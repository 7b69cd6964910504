"""Uncertainty over the plane with and without SNGP, OOD detection and calibration."""

import numpy as np

from tfphen.experiment import plots
from tfphen.phenomena._shared.tables import rows_of
from tfphen.phenomena.sngp.findings import values
from tfphen.phenomena.sngp.two_moons import HORIZONTAL, VERTICAL, far_cluster, two_moons

SURFACES = (
    ("deterministic", "Deterministic: 1 - max p", 0.5),
    ("sngp", "SNGP: variance", 1.0),
)
# Labels of scores and arms, in the order of the rows.
SCORES = {
    "variance": "variance",
    "probability": "1 - max p",
    "evidence": "evidence",
    "prior": "no data",
}
ARMS = {
    "deterministic": "deterministic",
    "spectral_norm": "spectral norm",
    "gaussian_process": "Gaussian process",
    "sngp": "SNGP",
}
_SHOWN_POINTS, _SHOWN_FAR = 240, 60


def draw(table, config, figure) -> None:
    """Draws a row of panels for two moons and one for images or texts, if they were run."""
    rows = []
    if config.moons is not None:
        rows.append([_surface, _surface, _correlations])
    if config.task is not None:
        panels = [_detection] * min(2, len(config.task.ood_sets()))
        rows.append([*panels, _calibration])
    figure.set_size_inches(11.5, 3.6 * len(rows))
    parts = figure.subfigures(len(rows), 1, squeeze=False)[:, 0]
    for part, panels in zip(parts, rows, strict=True):
        widths = [1.35 if panel is _surface else 1.0 for panel in panels]
        axes = part.subplots(1, len(panels), squeeze=False, width_ratios=widths)[0]
        for number, (one, panel) in enumerate(zip(axes, panels, strict=True)):
            panel(one, table, config, panels[:number].count(panel))


def _surface(axes, table, config, which: int) -> None:
    """Uncertainty of one network of the first seed, its training points and the far cluster."""
    arm, title, highest = SURFACES[which]
    row = rows_of(table, part="moons", arm=arm).iloc[0]
    side = config.moons.side
    image = axes.imshow(
        np.reshape(row.grid_uncertainty, (side, side)),
        extent=(*HORIZONTAL, *VERTICAL),
        origin="lower",
        cmap="viridis",
        vmin=0.0,
        vmax=highest,
        interpolation="bilinear",
    )
    data = two_moons(**{**config.moons.options, "generator_seed": int(row.seed)})
    shown = slice(_SHOWN_POINTS)
    for label, marker in ((0, "o"), (1, "^")):
        points = data.train_inputs[shown][data.train_labels[shown] == label]
        axes.plot(*points.T, marker, color="white", mec=plots.INK, mew=0.4, ms=3, label="_points")
    far = far_cluster(_SHOWN_FAR, int(row.seed))
    axes.plot(*far.T, "+", color=plots.SERIES[1], ms=4, mew=0.8)
    axes.annotate(
        "never trained on",
        far.mean(0),
        xytext=(-9, 0),
        textcoords="offset points",
        color="white" if which == 0 else plots.INK,
        ha="right",
        va="center",
    )
    axes.set(title=title, xticks=[], yticks=[])
    axes.grid(False)
    axes.figure.colorbar(image, ax=axes, shrink=0.6, ticks=[0.0, highest])


def _strip(axes, table, part: str, column: str, arms, scores=SCORES) -> None:
    """One row a network and score: each seed, and a bar at the mean."""
    arms, names = list(arms), []
    colors = dict(zip(scores, plots.SERIES, strict=False))
    markers = dict(zip(scores, plots.MARKERS, strict=False))
    for arm in arms:
        for score, name in scores.items():
            measured = values(table, part, arm, column.format(score))
            if not len(measured) or np.isnan(measured).all():
                continue
            height = len(names)
            settings = {"color": colors[score], "alpha": 0.45, "ms": 3}
            axes.plot(measured, np.full(len(measured), height), markers[score], **settings)
            axes.plot(np.nanmean(measured), height, "|", color=colors[score], ms=10, mew=2)
            names.append(f"{ARMS[arm]}, {name}")
    axes.set(yticks=range(len(names)), yticklabels=names, ylim=(len(names) - 0.5, -0.5))
    axes.tick_params(axis="y", labelsize=7.5)
    axes.grid(True, axis="x")


def _correlations(axes, table, config, which: int) -> None:
    _strip(axes, table, "moons", "distance_correlation_{}", config.moons.arms)
    axes.axvline(0.0, color=plots.INK, linewidth=0.8)
    axes.set(xlabel="rank correlation with distance", xlim=(-1, 1))
    axes.set_title("Does it follow the distance?")


def _detection(axes, table, config, which: int) -> None:
    name = config.task.ood_sets()[which]
    scores = {score: label for score, label in SCORES.items() if score != "prior"}
    _strip(axes, table, "task", f"auroc_{name}_{{}}", config.task.arms, scores)
    title = "classes never trained on" if name == "other_test" else name.replace("_", " ")
    axes.set(xlabel="area under the ROC curve")
    axes.set_title(f"Detection of {title}")


def _calibration(axes, table, config, which: int) -> None:
    """Expected calibration error, clean and corrupted: each seed, and a bar at the mean."""
    arms = list(config.task.arms)
    for number, (kind, label) in enumerate((("test", "clean"), ("corrupted", "corrupted"))):
        color, marker = plots.SERIES[number], plots.MARKERS[number]
        for row, arm in enumerate(arms):
            measured = values(table, "task", arm, f"{kind}_ece")
            if len(measured):
                height = row + 0.3 * number - 0.15
                settings = {"color": color, "alpha": 0.45, "ms": 3}
                heights = np.full(len(measured), height)
                text = label if row == 0 else None
                axes.plot(measured, heights, marker, label=text, **settings)
                axes.plot(np.nanmean(measured), height, "|", color=color, ms=9, mew=2)
    axes.set(yticks=range(len(arms)), yticklabels=[ARMS[arm] for arm in arms])
    axes.set(xlabel="expected calibration error", ylim=(len(arms) - 0.5, -0.5))
    axes.set_title("Calibration")
    axes.tick_params(axis="y", labelsize=7.5)
    axes.grid(True, axis="x")
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 0.98), ncols=2)
