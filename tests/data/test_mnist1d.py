"""MNIST-1D is the published set: golden values of the frozen data and of further seeds."""

import time

import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.data.mnist1d import draw_examples, gaussian_smooth, mnist1d, templates

# (samples, seed): mean and std before scaling, first inputs and labels of the training part.
GOLDEN = {
    (5000, 42): (
        (-0.0055075064312771795, 0.15467803420593054),
        (-0.33200567, -0.47191037, -0.77869708),
        (2, 6, 4, 5, 6, 6, 6, 0, 3, 1),
    ),
    (16000, 42): (
        (-0.0060054964082915194, 0.1543458990633584),
        (0.19054257, -0.06464255, -0.01249711),
        (5, 6, 2, 6, 8, 3, 2, 0, 6, 9),
    ),
    (5000, 43): (
        (-0.005805501625986299, 0.1547522916332598),
        (1.44268738, 1.37147729, 1.34561168),
        (0, 6, 6, 9, 9, 2, 2, 8, 4, 0),
    ),
    (5000, 0): (
        (-0.005992885089328213, 0.15409863714769312),
        (0.0579672, -0.08196316, 0.01332466),
        (5, 7, 5, 7, 5, 1, 3, 4, 0, 9),
    ),
}


@pytest.mark.parametrize("num_samples, seed", GOLDEN)
def test_golden_values(num_samples, seed):
    moments, inputs, labels = GOLDEN[num_samples, seed]
    raw, _ = draw_examples(num_samples, np.random.RandomState(seed))
    np.testing.assert_allclose((raw.mean(), raw.std()), moments, rtol=1e-12)
    data = mnist1d(num_samples=num_samples, generator_seed=seed)
    np.testing.assert_allclose(data.train_inputs[0, :3], inputs, atol=1e-6)
    np.testing.assert_array_equal(data.train_labels[:10], labels)


def test_the_frozen_set():
    data = mnist1d()
    assert data.train_inputs.shape == (4000, 40) and data.test_inputs.shape == (1000, 40)
    assert data.train_inputs.dtype == np.float32 and data.train_labels.dtype == np.int32
    np.testing.assert_allclose(
        data.test_inputs[0, :3], (-0.07877078, -0.21073171, -0.09175138), atol=1e-6
    )
    np.testing.assert_array_equal(data.test_labels[:10], (2, 6, 3, 9, 4, 3, 1, 9, 5, 2))
    counts = (398, 396, 411, 394, 394, 402, 401, 404, 402, 398)
    np.testing.assert_array_equal(np.bincount(data.train_labels), counts)
    counts = (102, 104, 89, 106, 106, 98, 99, 96, 98, 102)
    np.testing.assert_array_equal(np.bincount(data.test_labels), counts)
    assert data.train_inputs.sum(dtype=np.float64) == pytest.approx(-51.787467, abs=1e-4)
    both = np.concatenate([data.train_inputs, data.test_inputs]).astype(np.float64)
    assert both.mean() == pytest.approx(0, abs=1e-7) and both.std() == pytest.approx(1, abs=1e-7)


def test_closed_form_references():
    data = mnist1d()
    features = np.c_[data.train_inputs, np.ones(4000)].astype(np.float64)
    weights = np.linalg.lstsq(features, np.eye(10)[data.train_labels], rcond=None)[0]
    guesses = (np.c_[data.test_inputs, np.ones(1000)] @ weights).argmax(1)
    assert np.mean(guesses == data.test_labels) == pytest.approx(0.227, abs=0.0015)
    distances = (data.train_inputs**2).sum(1) - 2 * data.test_inputs @ data.train_inputs.T
    nearest = data.train_labels[distances.argmin(1)]
    assert np.mean(nearest == data.test_labels) == pytest.approx(0.567, abs=0.0015)


def test_shuffle_sequence_is_one_permutation_of_the_positions():
    plain, shuffled = mnist1d(), mnist1d(shuffle_sequence=True)
    start = [19, 22, 4, 32, 17, 18, 28, 31, 11, 24]
    for part in ("train_inputs", "test_inputs"):
        np.testing.assert_allclose(
            getattr(shuffled, part)[:, :10], getattr(plain, part)[:, start], atol=1e-6
        )
    np.testing.assert_array_equal(plain.train_labels, shuffled.train_labels)
    assert shuffled.name != plain.name


def test_templates():
    values = templates()
    np.testing.assert_allclose(values[:, [0, -1]], 0, atol=1e-15)
    row = (0, -0.369863, -0.369863, -0.295891, -0.221918, -0.147945, -0.073973, 0)
    np.testing.assert_allclose(values[1], (*row, 0.073973, 0.147945, 0, 0), atol=1e-6)


def test_gaussian_smooth():
    np.testing.assert_allclose(gaussian_smooth(np.full((2, 30), 3.0)), 3.0, rtol=1e-14)
    impulse = np.zeros(41)
    impulse[20] = 1.0
    response = gaussian_smooth(impulse)
    assert response.sum() == pytest.approx(1, abs=1e-14)
    assert np.sqrt((response**2).sum()) == pytest.approx(0.37557, abs=1e-5)
    from scipy.ndimage import gaussian_filter

    values = np.random.default_rng(0).standard_normal(72)
    np.testing.assert_allclose(gaussian_smooth(values), gaussian_filter(values, 2), atol=1e-15)


def test_it_is_fast_and_touches_no_global_state():
    before = np.random.get_state()[1].copy()
    start = time.perf_counter()
    mnist1d()
    assert time.perf_counter() - start < 2
    np.testing.assert_array_equal(before, np.random.get_state()[1])


def test_generator_options():
    options = {"padding": (20, 30), "max_translation": 10, "sequence_length": 25}
    data = mnist1d(num_samples=100, train_split=0.25, **options)
    assert data.train_inputs.shape == (25, 25) and data.test_inputs.shape == (75, 25)
    quiet = {"correlated_noise_scale": 0, "independent_noise_scale": 0, "shear_scale": 0}
    still, labels = draw_examples(
        20, np.random.RandomState(0), padding=(36, 36), max_translation=1, scale_coefficient=0,
        **quiet,
    )  # fmt: skip
    np.testing.assert_allclose(still[labels == 3][0], still[labels == 3][1])


@pytest.mark.parametrize(
    "options, text",
    [
        ({"num_samples": 5001}, "num_samples=5001"),
        ({"num_samples": 0}, "num_samples=0"),
        ({"train_split": 1.0}, "train_split=1.0"),
        ({"train_split": "half"}, "train_split='half'"),
        ({"padding": (60, 36)}, "padding=36"),
        ({"padding": 36}, "padding=36"),
        ({"max_translation": 73}, "max_translation=73"),
        ({"generator_seed": -1}, "generator_seed=-1"),
        ({"shear_scale": float("nan")}, "shear_scale=nan"),
        ({"shuffle_sequence": 1}, "shuffle_sequence=1"),
    ],
)
def test_wrong_options(options, text):
    with pytest.raises(UsageError, match=text):
        mnist1d(**options)
