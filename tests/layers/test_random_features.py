"""Random features: their kernels, their orthogonality, and what is refused."""

import numpy as np
import pytest

from tfphen.layers.random_features import random_feature_weights, random_features

FEATURES = 4096


def points(count=24, size=3, seed=3):
    return np.random.default_rng(seed).normal(size=(count, size)) * 0.7


def distances(x, order=2):
    return np.linalg.norm(x[:, None] - x[None], ord=order, axis=-1)


KERNELS = {
    "gaussian": lambda r: np.exp(-(r**2) / 2),
    "matern12": lambda r: np.exp(-r),
    "matern32": lambda r: (1 + 3**0.5 * r) * np.exp(-(3**0.5) * r),
    "matern52": lambda r: (1 + 5**0.5 * r + 5 * r**2 / 3) * np.exp(-(5**0.5) * r),
    "laplacian": lambda r: np.exp(-r),
}


def gram(x, **settings):
    frequencies, phases = random_feature_weights(x.shape[1], FEATURES, **settings)
    features = np.asarray(random_features(x, frequencies, phases))
    return features @ features.T


@pytest.mark.parametrize("feature_type", ["random", "orthogonal"])
@pytest.mark.parametrize("kernel_type", KERNELS)
def test_features_approximate_their_kernel(kernel_type, feature_type):
    if (kernel_type, feature_type) == ("laplacian", "orthogonal"):
        with pytest.raises(ValueError, match="sum of absolute differences"):
            random_feature_weights(3, 8, kernel_type, feature_type)
        return
    x = points()
    r = distances(x, order=1 if kernel_type == "laplacian" else 2)
    for stddev in (1.0, 0.4):
        found = gram(x, kernel_type=kernel_type, feature_type=feature_type, stddev=stddev)
        assert np.abs(found - KERNELS[kernel_type](stddev * r)).max() < 0.1


def test_the_gaussian_kernel_has_two_in_its_denominator():
    x = points()
    squares = distances(x) ** 2
    for scale in (1.0, 2.0):
        found = gram(x / scale**0.5)
        assert np.abs(found - np.exp(-squares / (2 * scale))).max() < 0.1
        # The form that other documentation prints.
        assert np.abs(found - np.exp(-squares / scale)).max() > 0.2


def test_orthogonal_directions_and_their_lengths():
    fixed, _ = random_feature_weights(5, 12, feature_type="orthogonal", random_norm=False)
    for start in (0, 5):
        block = fixed[:, start : start + 5]
        np.testing.assert_allclose(block.T @ block, 5 * np.eye(5), atol=1e-12)
    # The last block is cut: two columns of a rotation.
    np.testing.assert_allclose(fixed[:, 10:].T @ fixed[:, 10:], 5 * np.eye(2), atol=1e-12)
    drawn, _ = random_feature_weights(5, 4000, feature_type="orthogonal", stddev=0.5)
    squares = np.sum(drawn**2, axis=0) / 0.25
    # Chi-square with 5 degrees of freedom: mean 5, variance 10.
    assert abs(squares.mean() - 5) < 0.25 and abs(squares.var() - 10) < 2
    # Rotations are uniform: no direction is preferred.
    assert np.abs(drawn.mean(axis=1)).max() < 0.05


def test_orthogonal_frequencies_vary_less():
    numbers = np.random.default_rng(0).normal(size=(16, 50))
    shift = numbers / np.linalg.norm(numbers, axis=0) * np.linspace(0.5, 2, 50)
    true = KERNELS["gaussian"](np.linalg.norm(shift, axis=0))
    errors = {}
    for feature_type in ("random", "orthogonal"):
        settings = [{"feature_type": feature_type, "seed": seed} for seed in range(20)]
        draws = [random_feature_weights(16, 64, **setting)[0] for setting in settings]
        # The part of the error that is not due to phases.
        errors[feature_type] = np.mean([(np.cos(w.T @ shift).mean(0) - true) ** 2 for w in draws])
    assert errors["orthogonal"] < 0.7 * errors["random"]


def test_seeds_and_scale():
    first, second = (random_feature_weights(3, 7, seed=4) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])
    assert not np.array_equal(first[0], random_feature_weights(3, 7, seed=5)[0])
    x = points()
    plain = np.asarray(random_features(x, *first, scale=False))
    np.testing.assert_allclose(plain, np.cos(x @ first[0] + first[1]), atol=1e-6)
    scaled = np.asarray(random_features(x, *first))
    np.testing.assert_allclose(scaled, plain * (2 / 7) ** 0.5, atol=1e-6)


@pytest.mark.parametrize(
    "settings, name",
    [({"kernel_type": "linear"}, "kernel_type"), ({"feature_type": "orf"}, "feature_type")],
)
def test_unknown_words_are_refused(settings, name):
    with pytest.raises(ValueError, match=f"`{name}` must be one of.*Received: {name}="):
        random_feature_weights(3, 8, **settings)
