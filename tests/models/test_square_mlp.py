"""The network with quadratic activation: its formula, its start, and its analytic solution."""

import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.data.modular_arithmetic import modular_arithmetic
from tfphen.models.square_mlp import square_mlp
from tfphen.population.initial_weights import initial_weights


def test_formula():
    model = square_mlp((6,), 4, units=5)
    (hidden, last) = model.get_weights()
    assert hidden.shape == (6, 5) and last.shape == (5, 4)
    inputs = np.eye(3, dtype="float32")[[0, 2]].ravel()
    expected = np.square(hidden[0] + hidden[5]) @ last
    np.testing.assert_allclose(np.asarray(model(inputs[None]))[0], expected, rtol=1e-5)


@pytest.mark.parametrize("scale", [None, 0.3])
def test_all_weights_start_normal(scale):
    model = square_mlp((200,), 100, units=500, scale=scale, seed=2)
    expected = 0.5 / 10.0 if scale is None else scale
    for values in (*model.get_weights(), *initial_weights(model, 3)):
        assert values.std() == pytest.approx(expected, rel=0.02)
        assert abs(values.mean()) < 0.02 * expected
        # Not cut off, nor uniform.
        assert np.mean(abs(values) > 2 * expected) == pytest.approx(0.0455, abs=0.004)


def analytic_weights(p, units, generator, independent_phase=False):
    """The solution of arXiv 2301.02679 for sums: kernels of `"hidden"` and `"logits"`."""
    frequencies = generator.integers(1, (p - 1) // 2 + 1, units)
    first, second, third = generator.uniform(0, 2 * np.pi, (3, units))
    angles = 2 * np.pi * np.arange(p)[:, None] * frequencies / p
    hidden = np.concatenate((np.cos(angles + first), np.cos(angles + second)))
    phase = third if independent_phase else first + second
    return hidden, np.cos(angles + phase).T


def accuracy(p, weights):
    data = modular_arithmetic(modulus=p)
    inputs = np.concatenate((data.train_inputs, data.test_inputs))
    labels = np.concatenate((data.train_labels, data.test_labels))
    model = square_mlp((2 * p,), p, units=500)
    model.set_weights(weights)
    return np.mean(np.asarray(model(inputs)).argmax(1) == labels)


@pytest.mark.parametrize("p", [23, 53])
@pytest.mark.parametrize("seed", range(3))
def test_the_analytic_solution_is_right_everywhere(p, seed):
    assert accuracy(p, analytic_weights(p, 500, np.random.default_rng(seed))) == 1.0


def test_an_independent_phase_leaves_chance():
    generator = np.random.default_rng(0)
    shares = [accuracy(53, analytic_weights(53, 500, generator, True)) for _ in range(5)]
    assert np.mean(shares) < 0.02


def test_outputs_start_with_the_stated_spread():
    model = square_mlp((2 * 97,), 97, units=500)
    outputs = np.asarray(model(modular_arithmetic().train_inputs))
    assert outputs.std() == pytest.approx(np.sqrt(12 * 500) * 0.05**3, rel=0.03)


@pytest.mark.parametrize(
    ("shape", "settings", "text"),
    [
        ((4, 3), {}, r"input_shape=\(4, 3\)"),
        ((4,), {"units": 0}, "units=0"),
        ((4,), {"scale": 0.0}, "scale=0.0"),
        ((4,), {"defaults": "jax"}, "defaults='jax'"),
    ],
)
def test_wrong_settings(shape, settings, text):
    with pytest.raises(UsageError, match=text):
        square_mlp(shape, 3, **settings)
