"""The search for critical samples: exact for linear models, and its identities."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from tfphen.metrics import critical_sample_ratio

pytestmark = pytest.mark.usefixtures("tensorflow")

RADIUS = 0.1


def points(count=80, features=6, seed=0, dtype="float32"):
    return np.random.default_rng(seed).normal(size=(count, features)).astype(dtype)


def linear(classes=2, seed=1, features=6):
    generator = np.random.default_rng(seed)
    kernel = generator.normal(size=(features, classes)).astype("float32")
    bias = 0.3 * generator.normal(size=classes).astype("float32")
    return kernel, bias


def as_function(kernel, bias):
    return lambda x: ops.matmul(x, ops.convert_to_tensor(kernel)) + ops.convert_to_tensor(bias)


def network(seed=0, dropout=0.0):
    start = keras.initializers.RandomNormal(stddev=0.8, seed=seed)
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(24, "relu", kernel_initializer=start),
            layers.BatchNormalization(),
            layers.Dropout(dropout, seed=1),
            layers.Dense(4, kernel_initializer=start),
        ]
    )


@pytest.mark.parametrize("batch_size", [256, 7])
def test_two_linear_classes_are_solved_exactly(batch_size):
    x, (kernel, bias) = points(), linear()
    difference = kernel[:, 1] - kernel[:, 0]
    margin = x @ difference + bias[1] - bias[0]
    reach = np.abs(margin) / np.abs(difference).sum()
    expected = reach <= RADIUS
    assert 10 < expected.sum() < 70 and np.abs(reach - RADIUS).min() > 1e-5
    found = critical_sample_ratio(
        as_function(kernel, bias), x, RADIUS, noise=0, iterations=2, batch_size=batch_size
    )
    np.testing.assert_array_equal(found.critical, expected)
    assert found.ratio == expected.mean() and isinstance(found.ratio, float)
    # A step of 5/6 r finds whatever is that near at once, and the rest with the second.
    np.testing.assert_array_equal(
        found.iterations, np.where(reach <= RADIUS * 5 / 6, 1, np.where(expected, 2, 0))
    )
    slow = critical_sample_ratio(
        as_function(kernel, bias), x, RADIUS, step=RADIUS / 7, noise=0, iterations=8
    )
    np.testing.assert_array_equal(slow.critical, expected)
    np.testing.assert_array_equal(slow.iterations[expected], np.ceil(7 * reach[expected] / RADIUS))


def test_steps_follow_the_gradient_of_the_margin():
    # Class 0 is predicted; class 2 is second: the first step descends z_0 - z_2 coordinate-wise.
    kernel = np.array([[1.0, 0.0, -1.0], [0.0, 9.0, 0.5], [2.0, 0.0, 2.0]], "float32")
    start = np.array([[1.0, 0.0, 3.0]], "float32")
    found = critical_sample_ratio(
        as_function(kernel, np.zeros(3, "float32")), start, 0.2, step=0.1, noise=0, iterations=1
    )
    np.testing.assert_allclose(found.points - start, [[-0.1, 0.1, 0.0]], atol=1e-7)
    assert not found.critical[0]


def test_the_search_stays_in_its_box_and_range():
    x, model = np.clip(points() / 4 + 0.5, 0, 1), network()
    found = critical_sample_ratio(model, x, RADIUS, data_range=(0, 1), seed=3)
    assert np.abs(found.points - x).max() <= RADIUS + 1e-6
    assert found.points.min() >= 0 and found.points.max() <= 1
    free = critical_sample_ratio(model, x, RADIUS, seed=3)
    assert free.points.min() < 0 and free.points.max() > 1
    assert 0.1 < found.ratio <= 1
    before, after = (ops.convert_to_numpy(model(v)).argmax(-1) for v in (x, found.points))
    np.testing.assert_array_equal(before != after, found.critical)


def test_the_ratio_never_falls_with_iterations_and_stops_at_the_first_change():
    x, model = points(), network()
    long = critical_sample_ratio(model, x, RADIUS / 2, iterations=12, seed=1)
    assert 0.05 < long.ratio < 0.95 and long.iterations.max() > 2
    for number in (1, 2, 5):
        short = critical_sample_ratio(model, x, RADIUS / 2, iterations=number, seed=1)
        within = (long.iterations > 0) & (long.iterations <= number)
        np.testing.assert_array_equal(short.critical, within)
        np.testing.assert_array_equal(short.points[within], long.points[within])


def test_no_radius_and_constant_classifiers():
    assert critical_sample_ratio(network(), points(), 0.0).ratio == 0.0
    constant = lambda x: ops.ones((80, 3)) * ops.arange(3, dtype="float32")  # noqa: E731
    found = critical_sample_ratio(constant, points(), 5.0)
    assert found.ratio == 0.0 and not found.critical.any()


def test_sure_predictions_still_have_a_direction():
    # A softmax of these logits is exactly one-hot in float32; the margin of logits is not flat.
    kernel, bias = linear()
    x = points()
    sharp = critical_sample_ratio(as_function(1e4 * kernel, 1e4 * bias), x, RADIUS, noise=0)
    plain = critical_sample_ratio(as_function(kernel, bias), x, RADIUS, noise=0)
    np.testing.assert_array_equal(sharp.critical, plain.critical)


def test_seeds_batches_and_inference_mode():
    x, model = points(), network(dropout=0.7)
    once = critical_sample_ratio(model, x, RADIUS, seed=5)
    again = critical_sample_ratio(model, x, RADIUS, seed=5, batch_size=9)
    np.testing.assert_array_equal(once.iterations, again.iterations)
    np.testing.assert_allclose(once.points, again.points, atol=1e-6)
    without = network(dropout=0.0)
    without.set_weights(model.get_weights()[: len(without.get_weights())])
    same = critical_sample_ratio(without, x, RADIUS, seed=5)
    np.testing.assert_array_equal(same.iterations, once.iterations)
    other = critical_sample_ratio(model, x, RADIUS, seed=6)
    assert (other.points != once.points).any()
    # Each coordinate has noise of its own, of the published size.
    noise = critical_sample_ratio(lambda v: ops.ones((80, 2)), x, RADIUS, iterations=1, seed=5)
    moved = (noise.points - x) / RADIUS
    inside = np.abs(moved) < 0.999
    assert len(np.unique(moved[inside])) > 0.9 * inside.sum()
    assert inside.mean() == pytest.approx(0.866, abs=0.05)  # P(|N(0, 2/3)| < 1)


def test_members_of_a_population():
    x = points()
    kernels = np.stack([linear(3, seed)[0] for seed in (1, 2)])
    together = critical_sample_ratio(
        lambda v: ops.matmul(v, ops.convert_to_tensor(kernels)),
        x,
        RADIUS,
        noise=0,
        batch_size=30,
        members=2,
    )
    assert together.points.shape == (2, *x.shape) and together.ratio.shape == (2,)
    for number, kernel in enumerate(kernels):
        alone = critical_sample_ratio(
            as_function(kernel, np.zeros(3, "float32")), x, RADIUS, noise=0
        )
        assert alone.ratio == together.ratio[number] > 0
        np.testing.assert_array_equal(alone.iterations, together.iterations[number])


def test_images_and_other_kinds_of_inputs():
    x = points(20, 16).reshape(20, 4, 4, 1)
    model = keras.Sequential(
        [keras.Input((4, 4, 1)), layers.Conv2D(3, 3), layers.Flatten(), layers.Dense(3)]
    )
    found = critical_sample_ratio(model, x, 0.3)
    assert found.points.shape == x.shape and found.critical.shape == (20,)
    for same in (ops.convert_to_tensor(x), x.tolist(), x.astype("float64")):
        other = critical_sample_ratio(model, same, 0.3)
        np.testing.assert_array_equal(other.iterations, found.iterations)
    assert critical_sample_ratio(model, x.astype("float64"), 0.3).points.dtype == "float64"


def test_errors():
    model, x = as_function(*linear()), points()
    broken = lambda v: np.nan * model(v)  # noqa: E731
    unbuilt = keras.Sequential([layers.Dense(2)])
    for arguments, settings, name in (
        ((model, x, -0.1), {}, "radius"),
        ((model, x, np.nan), {}, "radius"),
        ((model, x, 0.1), {"step": -1}, "step"),
        ((model, x, 0.1), {"noise": np.inf}, "noise"),
        ((model, x, 0.1), {"iterations": 0}, "iterations"),
        ((model, x, 0.1), {"batch_size": 0}, "batch_size"),
        ((model, x, 0.1), {"members": 0}, "members"),
        ((model, x[0], 0.1), {}, "inputs"),
        ((model, x * np.inf, 0.1), {}, "inputs"),
        ((model, x, 0.1), {"data_range": (0, 1)}, "data_range"),
        ((model, x, 0.1), {"data_range": (9, -9)}, "data_range"),
        ((lambda v: model(v)[0], x, 0.1), {"members": 2}, "model"),
        ((lambda v: v[:, :1], x, 0.1), {}, "model"),
        ((broken, x, 0.1), {}, "model"),
        ((unbuilt, x, 0.1), {}, "model"),
    ):
        with pytest.raises(ValueError, match=rf"`{name}`(.|\n)*Received"):
            critical_sample_ratio(*arguments, **settings)
