"""Two groups of features that gradient descent learns at different speeds."""

import numpy as np

from tfphen.core import checks
from tfphen.core.seeds import stream
from tfphen.core.types import Array
from tfphen.data.dataset import Dataset


def two_scales(
    *,
    fast: int = 270,
    slow: int = 6,
    scale: float = 0.05,
    slow_share: float = 0.5,
    train_size: int = 300,
    test_size: int = 2000,
    generator_seed: int = 0,
) -> Dataset:
    """Two classes, given by the sign of the sum of a fast and a slow linear signal.

    With z standard normal and unit vectors a, b, the label is 1 where `sqrt(1 - slow_share) * a @
    z_fast + sqrt(slow_share) * b @ z_slow` is positive. The inputs are `z_fast` and `scale *
    z_slow`: the contribution of the slow features looks like label noise until they are learned,
    about `1 / scale**2` times later.

    Args:
        fast: Features of scale 1.
        slow: Features of scale `scale`.
        scale: Scale of the slow features.
        slow_share: Share of the signal's variance that the slow features carry.
        train_size: Training examples.
        test_size: Test examples.
        generator_seed: Seed of the data.

    Reference:
        Heckel and Yilmaz, *Early stopping in deep networks: double descent and how to eliminate
        it*, ICLR 2021, arXiv 2007.10099: descents of features of different scale superpose.
    """
    for name, value in (("fast", fast), ("slow", slow), ("train_size", train_size)):
        checks.whole(name, value, 1)
    checks.whole("test_size", test_size, 1)
    checks.whole("generator_seed", generator_seed, 0)
    checks.number("scale", scale, 0)
    checks.number("slow_share", slow_share, 0, 1)
    directions = stream(generator_seed, "two_scales", 0)
    a, b = directions.standard_normal(fast), directions.standard_normal(slow)
    a *= np.sqrt(1 - slow_share) / np.linalg.norm(a)
    b *= np.sqrt(slow_share) / np.linalg.norm(b)

    def draw(size: int, fold: int) -> tuple[Array, Array]:
        z = stream(generator_seed, "two_scales", fold).standard_normal((size, fast + slow))
        labels = (z[:, :fast] @ a + z[:, fast:] @ b > 0).astype("int32")
        z[:, fast:] *= scale
        return z, labels

    return Dataset(
        *draw(train_size, 1),
        *draw(test_size, 2),
        num_classes=2,
        name="two_scales",
        description=(
            f"{fast} features of scale 1 and {slow} of scale {scale:g}, "
            f"generator seed {generator_seed}"
        ),
    )
