"""Arrays, lists and tensors of every backend reach the metrics as float64; the rest is refused."""

import keras
import numpy as np
import pytest

from tfphen.core import checks
from tfphen.metrics import brier_score, expected_calibration_error
from tfphen.metrics.probabilities import float64_array, host_array, integer_array

VALUES = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
LABELS = np.random.default_rng(1).integers(0, 3, 20)


def tensors(name, dtype):
    """Labels and logits as tensors of a backend, and the logits that the dtype can hold."""
    if name == "torch":
        torch = pytest.importorskip("torch")
        values = torch.tensor(VALUES, dtype=getattr(torch, dtype), requires_grad=True)
        return torch.tensor(LABELS), values, values.detach().double().numpy()
    if name == "jax":
        jax_numpy = pytest.importorskip("jax.numpy")
        values = jax_numpy.asarray(VALUES, dtype)
        return jax_numpy.asarray(LABELS), values, np.asarray(values).astype("float64")
    tensorflow = pytest.importorskip("tensorflow")
    values = tensorflow.cast(tensorflow.constant(VALUES), dtype)
    if name == "variable":
        values = tensorflow.Variable(values)
    return tensorflow.constant(LABELS), values, values.numpy().astype("float64")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("name", ["tensorflow", "variable", "jax", "torch"])
def test_tensors_of_every_backend(tensorflow, name, dtype):
    labels, logits, exact = tensors(name, dtype)
    np.testing.assert_array_equal(float64_array(logits, "x"), exact)
    assert (dtype == "float32") == np.array_equal(exact, VALUES.astype("float64"))
    expected = brier_score(LABELS, exact)
    assert brier_score(labels, logits) == expected
    assert brier_score(labels, [*logits]) == expected


def test_sixteen_bit_probabilities_are_divided_by_their_sum():
    torch = pytest.importorskip("torch")
    p = torch.softmax(torch.tensor(VALUES), -1).to(torch.bfloat16)
    exact = p.double().numpy()
    assert np.abs(exact.sum(-1) - 1).max() > 1e-4
    expected = brier_score(LABELS, exact / exact.sum(-1, keepdims=True), from_logits=False)
    assert brier_score(LABELS, p, from_logits=False) == pytest.approx(expected, abs=1e-12)
    assert brier_score(LABELS, [*p], from_logits=False) == pytest.approx(expected, abs=1e-12)
    with pytest.raises(ValueError, match="sum to 1"):
        brier_score(LABELS, exact, from_logits=False)


def test_symbolic_and_ragged_values_are_refused(tensorflow):
    with pytest.raises(ValueError, match=r"`y_pred` must be an array.*Keras metrics.*Received"):
        expected_calibration_error(LABELS, keras.KerasTensor((20, 3)))
    with pytest.raises(ValueError, match=r"`x` must be an array.*Received"):
        host_array([[1.0], [1.0, 2.0]], "x")

    @tensorflow.function
    def traced(values):
        return brier_score(LABELS, values)

    with pytest.raises(ValueError, match="outside of compiled functions"):
        traced(tensorflow.constant(VALUES))


def test_values_that_are_no_numbers_are_refused():
    for wrong in (["a"], [1j], np.array(["2020-01-01"], "datetime64[D]"), [None, object()]):
        with pytest.raises(ValueError, match=r"`x` must hold real numbers. Received: dtype="):
            float64_array(wrong, "x")
    with pytest.raises(ValueError, match=r"finite in every entry.*2 of 3.*index \(1,\)"):
        float64_array([0.0, np.inf, np.nan], "x")
    with pytest.raises(ValueError, match=r"not NaN in every entry.*1 of 3.*index \(2,\)"):
        float64_array([0.0, np.inf, np.nan], "x", finite=False)
    with pytest.raises(
        ValueError, match=r"`x` must hold integers. Received: 1.5 at index \(0, 1\)"
    ):
        integer_array([[1.0, 1.5]], "x")
    assert integer_array(np.float32([3, -4]), "x").tolist() == [3, -4]
    assert checks.whole("n", np.int64(3)) == 3
    for wrong in (2.0, "3", True, 1):
        with pytest.raises(ValueError, match=r"`n` must be an integer of at least 2. Received: n="):
            checks.whole("n", wrong, least=2)
