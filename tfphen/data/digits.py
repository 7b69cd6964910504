"""scikit-learn's handwritten digits: 1797 images of 8 by 8 pixels, no download.

Reference:
    E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI repository, 1998 (its
    test set).
"""

import numpy as np

from tfphen.core import checks
from tfphen.core.seeds import stream
from tfphen.data.dataset import Dataset
from tfphen.data.image_corruptions import corrupt_images

_TRAIN_SIZE = 1437


def digits(*, flatten: bool = True, corruption: str | None = None, severity: int = 1) -> Dataset:
    """Returns scikit-learn's digits scaled to [0, 1], 1437 for training and 360 for testing.

    The source's own order is not random (writers come one after the other), so the split is a
    fixed permutation.

    Args:
        flatten: True gives inputs `[n, 64]`, False images `[n, 8, 8, 1]`.
        corruption: Corruption of the test images, one of `image_corruptions.CORRUPTIONS`, or None.
        severity: Severity of the corruption, from 1 to 5.
    """
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    inputs = (pixels / 16.0).reshape(-1, 8, 8, 1)  # pixels are whole numbers from 0 to 16
    # The legacy generator defines this split; the object is local.
    order = np.random.RandomState(0).permutation(len(labels))
    train, test = order[:_TRAIN_SIZE], order[_TRAIN_SIZE:]
    images = inputs[train], inputs[test]
    if corruption is not None:
        generator = stream(0, "image_corruption")
        images = images[0], corrupt_images(images[1], corruption, severity, generator)
    if checks.boolean("flatten", flatten):
        images = tuple(part.reshape(-1, 64) for part in images)
    return Dataset(
        images[0],
        labels[train],
        images[1],
        labels[test],
        num_classes=10,
        name="digits",
        description="scikit-learn digits, 8 by 8 pixels in [0, 1], fixed split 1437 / 360",
    )
