"""What verdicts and figure both read off the records of `shift_invariance`. Light."""

from typing import TYPE_CHECKING

from tfphen.phenomena._shared.tables import rows_of

if TYPE_CHECKING:
    import numpy as np
    import pandas

    from tfphen.verdicts.estimate import Estimate


def distances(table: "pandas.DataFrame", part: str, arm: str, **where) -> "np.ndarray":
    """Mean distance of a network's examples to misclassification, one number a seed."""
    import numpy as np

    rows = rows_of(table, part=part, arm=arm, **where)
    return np.asarray([np.mean(values) for values in rows.distances], "float64")


def median_distances(table: "pandas.DataFrame", part: str, arm: str, **where) -> "np.ndarray":
    """As `distances`, of the median example."""
    import numpy as np

    rows = rows_of(table, part=part, arm=arm, **where)
    return np.asarray([np.median(values) for values in rows.distances], "float64")


def distances_by_pixels(table: "pandas.DataFrame", arm: str) -> "tuple[np.ndarray, np.ndarray]":
    """Returns the numbers of pixels of an arm on dots, and mean distances `[seeds, pixels]`."""
    import numpy as np

    pixels = np.sort(rows_of(table, part="dots", arm=arm).pixels.unique())
    found = [distances(table, "dots", arm, pixels=one) for one in pixels]
    return pixels, np.stack(found, 1)


def slope(table: "pandas.DataFrame", arm: str) -> "Estimate":
    """Slope of log distance over log number of pixels, by seed. NaN where a distance is none."""
    import numpy as np

    from tfphen.verdicts import stats

    pixels, found = distances_by_pixels(table, arm)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(found)
    x = np.log(pixels) - np.log(pixels).mean()
    slopes = [row @ x / (x @ x) if np.isfinite(row).all() else np.nan for row in logs]
    name = f"slope of log distance over log pixels, {arm.replace('_', ' ')}"
    return stats.mean_if_defined(slopes, name)


def ratio(
    table: "pandas.DataFrame",
    part: str,
    arm: str = "convolution",
    other: str = "fully_connected",
    **where,
) -> "Estimate":
    """Mean distance of one network over that of another, geometric mean of pairs by seed."""
    from tfphen.verdicts import stats

    pair = [distances(table, part, name, **where) for name in (arm, other)]
    of = ", ".join(f"{value:g} {name}" for name, value in where.items())
    names = f"{arm} over {other}".replace("_", " ")
    return stats.geometric_ratio(*pair, f"ratio of distances, {names}, {of}")


def robust_accuracies(
    table: "pandas.DataFrame", images, net: str, size: float, norm: str | None = None
) -> "np.ndarray":
    """Accuracy under perturbations of one size, one number a seed. Size 0 is clean accuracy."""
    import numpy as np

    norm = norm or images.norm
    at = getattr(images.attack, f"{norm}_sizes").index(size)
    rows = rows_of(table, part="images", net=net)
    return np.asarray([np.mean(found[:, at]) for found in rows[f"robust_{norm}"]])


def robust_gap(table: "pandas.DataFrame", images, net: str, size: float) -> "Estimate":
    """Accuracy of the first network minus that of another, paired by seed."""
    from tfphen.verdicts import stats

    first = robust_accuracies(table, images, images.reference, size)
    name = f"accuracy at {images.norm} {size:g}, {images.reference} minus {net}"
    other = robust_accuracies(table, images, net, size)
    return stats.paired_difference(first, other, name)


def trend(table: "pandas.DataFrame", images, size: float | None) -> "Estimate":
    """Slope over the circular padding, by seed: of accuracy at a size, or of the consistency.

    Args:
        table: The records.
        images: Settings, a `tfphen.phenomena.shift_invariance.images.Images`.
        size: Of the perturbations; None for the consistency.
    """
    import numpy as np

    from tfphen.verdicts import stats

    paddings = np.asarray(list(images.paddings.values()), "float64")
    x, values = paddings - paddings.mean(), []
    for net in images.paddings:
        if size is None:
            values.append(rows_of(table, part="images", net=net).consistency.to_numpy())
        else:
            values.append(robust_accuracies(table, images, net, size))
    what = "consistency" if size is None else f"accuracy at {images.norm} {size:g}"
    slopes = x @ np.stack(values) / (x @ x)
    return stats.mean(slopes, f"slope of {what} over the padding in pixels")


def distance_of_mean(table: "pandas.DataFrame", dots, arm: str) -> "Estimate":
    """Distance of a dot to the boundary, as a share of contrast / sqrt(pixels), mean by seed."""
    import numpy as np

    from tfphen.verdicts import stats

    pixels, found = distances_by_pixels(table, arm)
    shares = (found * np.sqrt(pixels)).mean(1) / dots.contrast
    name = f"distance over contrast / sqrt(pixels), {arm.replace('_', ' ')}"
    return stats.mean_if_defined(shares, name)


def withstood(table: "pandas.DataFrame", sizes, **where) -> "np.ndarray":
    """Largest of some sizes in the maximum norm up to which all examples stay right, by seed."""
    import numpy as np

    found = []
    for robust in rows_of(table, **where).robust_linf:
        whole = np.logical_and.accumulate(np.asarray(robust).all(0))
        found.append(np.max(np.asarray(sizes)[whole], initial=0.0))
    return np.asarray(found)


def reproduction(
    table: "pandas.DataFrame", config, number
) -> "tuple[Estimate, Estimate | None] | None":
    """Returns our value of a published number and that of what it is held against, or None."""
    from tfphen.verdicts import stats

    setting, metric = dict(number.setting), number.metric
    if metric.startswith("robust accuracy") or metric.startswith("consistency"):
        values = _of_images(table, config.images, setting, metric)
    else:
        values = _of_distances(table, config, setting, metric)
    return None if values is None or not len(values) else (stats.mean(values, metric), None)


def _of_images(table, images, setting: dict, metric: str):
    net = setting.pop("net", None)
    if images is None or net not in images.nets:
        return None
    if metric == "consistency, %" and not setting:
        return 100 * rows_of(table, part="images", net=net).consistency.to_numpy()
    norm, size = setting.get("norm"), setting.get("size")
    sizes = getattr(images.attack, f"{norm}_sizes", ())
    if size not in sizes:
        return None
    return robust_accuracies(table, images, net, size, norm)


def _of_distances(table, config, setting: dict, metric: str):
    arm = setting.pop("arm", None)
    part = "dots" if "pixels" in setting else setting.pop("part", None)
    if part not in ("dots", "vectors", "frequencies") or getattr(config, part) is None:
        return None
    if not len(rows_of(table, part=part, arm=arm, **setting)):
        return None
    if metric.startswith("mean distance"):
        return distances(table, part, arm, **setting)
    if metric.startswith("median distance"):
        return median_distances(table, part, arm, **setting)
    if metric.startswith("margin"):
        return 2 * distances(table, part, arm, **setting)
    sizes = getattr(config, part).attack.linf_sizes
    if metric.startswith("largest size withstood") and sizes:
        return withstood(table, sizes, part=part, arm=arm, **setting)
    return None
