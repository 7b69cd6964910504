"""Two classes of points in the plane."""

import numpy as np

from tfphen.core import checks
from tfphen.core.seeds import stream
from tfphen.data import Dataset


def blobs(
    *,
    count: int = 20,
    distance: float = 50**0.5,
    radius: float = 2.0,
    mirrored: bool = False,
    test_count: int = 200,
    generator_seed: int = 0,
) -> Dataset:
    """Two Gaussian clouds in the plane, of unit variance, on opposite sides of (2.5, 2.5).

    They lie along (1, -1): at the default distance around (0, 5) and (5, 0). Both have the same
    projection on (1, 1), so that class weights act through the kernel as through a bias.

    Args:
        count: Training points of each class.
        distance: Between the centers.
        radius: Points farther from their center are projected to this distance.
        mirrored: Whether class 1 is the mirror image of class 0.
        test_count: Test points of each class.
        generator_seed: Seed of the data.
    """
    checks.wholes(count=count, test_count=test_count)
    away = distance / 2 * np.array([-1.0, 1.0]) / np.sqrt(2)

    def draw(number, fold):
        offsets = stream(generator_seed, "blobs", fold).standard_normal((2, number, 2))
        offsets *= np.minimum(1.0, radius / np.linalg.norm(offsets, axis=-1, keepdims=True))
        if mirrored:
            offsets[1] = offsets[0, :, ::-1]
        points = 2.5 + offsets + np.stack([away, -away])[:, None]
        return points.reshape(-1, 2), np.repeat([0, 1], number)

    parts = *draw(count, 0), *draw(test_count, 1)
    return Dataset(*parts, num_classes=2, name="blobs", description="two clouds in the plane")
