"""The tfds reader on MNIST, Fashion-MNIST and CIFAR-10, where they are on the machine.

Class counts and pixel moments are those of the published sets.
"""

import numpy as np
import pytest

from tfphen.core.trial import Data
from tfphen.data import load, prepared, resolve

MNIST_TRAIN = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
MNIST_TEST = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@pytest.fixture
def real(data_dir, tensorflow):
    """Returns a function that loads a real set, or skips."""

    def load_or_skip(name):
        if prepared.find(name, [data_dir]) is None:
            pytest.skip(f"no prepared tfds set {name} in {data_dir}")
        return load(name, data_dir=data_dir)

    return load_or_skip


def moments(images):
    """Mean and standard deviation of each channel, in one pass of little memory."""
    total = images.sum(axis=(0, 1, 2), dtype=np.float64)
    squares = np.einsum("nhwc,nhwc->c", images, images, dtype=np.float64)
    n = images.size / images.shape[-1]
    return total / n, np.sqrt(squares / n - (total / n) ** 2)


@pytest.mark.parametrize(
    "name, mean, deviation, train, test",
    [
        ("mnist", 0.1307, 0.3081, MNIST_TRAIN, MNIST_TEST),
        ("fashion_mnist", 0.2860, 0.3530, [6000] * 10, [1000] * 10),
    ],
)
def test_mnist_and_fashion_mnist(real, name, mean, deviation, train, test):
    data = real(name)
    assert data.train_inputs.shape == (60000, 28, 28, 1) and data.train_inputs.dtype == np.float32
    assert data.test_inputs.shape == (10000, 28, 28, 1) and data.train_labels.dtype == np.int32
    assert data.train_inputs.min() == 0 and data.train_inputs.max() == 1
    assert np.bincount(data.train_labels).tolist() == train
    assert np.bincount(data.test_labels).tolist() == test
    np.testing.assert_allclose(np.ravel(moments(data.train_inputs)), (mean, deviation), atol=1e-4)
    assert (data.name, data.differs) == (name, ())


def test_resolve_of_mnist(real, data_dir):
    whole = real("mnist")
    trial = Data("mnist", train=200, test=100, options={"flatten": True})
    data = resolve(trial, lambda name: 0, data_dir)
    assert data.train_inputs.shape == (200, 784) and data.test_inputs.shape == (100, 784)
    known = {image.tobytes() for image in whole.train_inputs}
    assert all(image.tobytes() in known for image in data.train_inputs)


def test_cifar10(real):
    data = real("cifar10")
    assert data.train_inputs.shape == (50000, 32, 32, 3)
    assert np.bincount(data.train_labels).tolist() == [5000] * 10
    assert np.bincount(data.test_labels).tolist() == [1000] * 10
    mean, deviation = moments(data.train_inputs)
    if data.differs:
        assert data.differs == ("images re-encoded as JPEG",) and data.name == "cifar10 (jpeg)"
        tolerance = 2e-3  # not met by a fast JPEG decoder, which shifts the mean color
    else:
        assert data.name == "cifar10"
        tolerance = 1e-4
    np.testing.assert_allclose(mean, (0.4914, 0.4822, 0.4465), atol=tolerance)
    np.testing.assert_allclose(deviation, (0.2470, 0.2435, 0.2616), atol=2 * tolerance)
