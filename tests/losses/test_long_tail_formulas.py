"""Every long-tail loss against its formula in NumPy: values, gradients, low precision, members."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfphen.losses.class_dependent_temperatures import CDTLoss, cdt_loss
from tfphen.losses.class_weighted import ClassWeightedCrossentropy, class_weighted_crossentropy
from tfphen.losses.group_vector_scaling import GroupVSLoss, group_vs_loss
from tfphen.losses.logit_adjustment import LogitAdjustedLoss, logit_adjusted_loss
from tfphen.losses.margins import LDAMHingeLoss, LDAMLoss, ldam_hinge_loss, ldam_loss
from tfphen.losses.poly_tailed import PolyTailedLoss, poly_tailed_loss
from tfphen.losses.vector_scaling import VSLoss, vs_loss

BATCH = 24
COUNTS, CELLS = np.array([400.0, 60.0, 8.0]), np.array([[300.0, 20.0], [40.0, 5.0], [30.0, 9.0]])
WEIGHTS = np.array([0.5, 1.0, 3.0])


def cross_entropy(u, y):
    return np.log(np.exp(u).sum(-1)) - u[np.arange(len(y)), y]


def ldam(z, y):
    margin = (0.4 * COUNTS**-0.25 / (COUNTS**-0.25).max())[y]
    others = np.exp(5.0 * (z - (z[np.arange(BATCH), y] - margin)[:, None]))
    others[np.arange(BATCH), y] = 0.0
    return WEIGHTS[y] * np.log1p(others.sum(-1))


def hinge(z, y):
    margin = (0.4 * COUNTS**-0.25 / (COUNTS**-0.25).max())[y]
    best = np.where(np.arange(3) == y[:, None], -np.inf, z).max(-1)
    return WEIGHTS[y] * np.maximum(best - z[np.arange(BATCH), y] + margin, 0.0)


def vector_scaled(z, y):
    u = (COUNTS / 400.0) ** 0.3 * z + 1.5 * np.log(COUNTS / 468.0)
    return WEIGHTS[y] * cross_entropy(u, y)


def grouped(z, y):
    y, g = y.T
    delta, iota = (CELLS[y, g] / 300.0) ** 0.3, -1.5 * np.log(CELLS[y, g] / CELLS.sum())
    others = np.exp(delta[:, None] * (z - z[np.arange(BATCH), y][:, None]) + iota[:, None])
    others[np.arange(BATCH), y] = 0.0
    return np.log1p(others.sum(-1))


def poly(z, y):
    m = (z[:, 1] - z[:, 0]) * (2 * y - 1)
    tail = np.where(m > 1, np.abs(m) ** -1.5, 0.0)
    return WEIGHTS[y] * np.where(m > 1, tail, np.log1p(np.exp(-m)) / np.log1p(np.exp(-1)))


BY_COUNT = {"class_counts": COUNTS, "class_weights": WEIGHTS}
# Function, class, settings, formula, number of logits.
CASES = {
    "ldam": (ldam_loss, LDAMLoss, {**BY_COUNT, "max_margin": 0.4, "scale": 5.0}, ldam, 3),
    "hinge": (ldam_hinge_loss, LDAMHingeLoss, {**BY_COUNT, "max_margin": 0.4}, hinge, 3),
    "vs": (vs_loss, VSLoss, {**BY_COUNT, "gamma": 0.3, "tau": 1.5}, vector_scaled, 3),
    "cdt": (
        cdt_loss,
        CDTLoss,
        {**BY_COUNT, "gamma": 0.4},
        lambda z, y: WEIGHTS[y] * cross_entropy(z / (400.0 / COUNTS) ** 0.4, y),
        3,
    ),
    "logit_adjusted": (
        logit_adjusted_loss,
        LogitAdjustedLoss,
        {**BY_COUNT, "tau": 0.7},
        lambda z, y: WEIGHTS[y] * cross_entropy(z + 0.7 * np.log(COUNTS / 468.0), y),
        3,
    ),
    "group_vs": (
        group_vs_loss,
        GroupVSLoss,
        {"group_counts": CELLS, "gamma": 0.3, "tau": 1.5},
        grouped,
        3,
    ),
    "class_weighted": (
        class_weighted_crossentropy,
        ClassWeightedCrossentropy,
        {"class_weights": WEIGHTS},
        lambda z, y: WEIGHTS[y] * cross_entropy(z, y),
        3,
    ),
    "poly": (
        poly_tailed_loss,
        PolyTailedLoss,
        {"alpha": 1.5, "class_weights": WEIGHTS[:2]},
        poly,
        2,
    ),
}


def batch(name, seed=0):
    generator = np.random.default_rng(seed)
    classes = CASES[name][4]
    z = generator.normal(scale=1.5, size=(BATCH, classes)).astype("float32")
    y = generator.integers(0, classes, BATCH)
    return (np.stack([y, y[::-1] % 2], -1) if name == "group_vs" else y), z


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name):
    function, cls, settings, formula, classes = CASES[name]
    y, z = batch(name)
    found = function(y, z, **settings)
    assert found.dtype == tf.float32 and found.shape == (BATCH,)
    np.testing.assert_allclose(found, formula(z.astype("float64"), y), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(cls(**settings, reduction=None)(y, z), found, rtol=1e-6)
    z = tf.constant(z.astype("float64"))
    with tf.GradientTape() as tape:
        tape.watch(z)
        value = function(y, z, **settings)
    assert value.dtype == tf.float64
    gradient, step = tape.gradient(value, z).numpy(), 1e-5
    for column in range(classes):
        moved = np.eye(classes)[column] * step
        up, down = (formula(z.numpy() + sign * moved, y) for sign in (1.0, -1.0))
        np.testing.assert_allclose(gradient[:, column], (up - down) / (2 * step), atol=1e-8)


@pytest.mark.parametrize("name", CASES)
def test_bfloat16_logits(name):
    function, _, settings, formula, _ = CASES[name]
    y, z = batch(name)
    low = keras.ops.cast(z, "bfloat16")
    found = function(y, low, **settings)
    assert found.dtype == tf.float32
    exact = np.asarray(keras.ops.cast(low, "float32")).astype("float64")
    np.testing.assert_allclose(found, formula(exact, y), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_members_with_settings_of_their_own(name):
    function, _, settings, _, _ = CASES[name]
    (y, z), (y2, z2) = batch(name), batch(name, 1)
    # Per-class settings of the second member run the other way; group counts have two axes.
    stacked, second = {}, {}
    for key, value in settings.items():
        if isinstance(value, np.ndarray):
            second[key] = value[::-1]
            stacked[key] = tf.constant(np.stack([value, value[::-1]])[:, None], tf.float32)
    rest = {key: value for key, value in settings.items() if key not in stacked}

    @tf.function(jit_compile=True)
    def traced(y, z, stacked):
        return function(y, z, **rest, **stacked)

    found = traced(tf.constant(np.stack([y, y2])), tf.constant(np.stack([z, z2])), stacked)
    expected = [function(y, z, **settings), function(y2, z2, **rest, **second)]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    arrays = {key: value.numpy() for key, value in stacked.items()}
    eager = function(np.stack([y, y2]), np.stack([z, z2]), **rest, **arrays)
    np.testing.assert_allclose(eager, expected, rtol=1e-5, atol=1e-6)


WRONG = [
    ("ldam", {"class_counts": [400, 60]}, "`class_counts`"),
    ("ldam", {"class_counts": [400, 0, 8]}, "`class_counts`"),
    ("ldam", {"max_margin": -0.1}, "`max_margin`"),
    ("ldam", {"scale": 0.0}, "`scale`"),
    ("ldam", {"class_weights": [1.0, 2.0]}, "`class_weights`"),
    ("hinge", {"max_margin": np.inf}, "`max_margin`"),
    ("vs", {"gamma": -0.1}, "`gamma`"),
    ("vs", {"tau": np.nan}, "`tau`"),
    ("cdt", {"gamma": "0.1"}, "`gamma`"),
    ("logit_adjusted", {"tau": -1.0}, "`tau`"),
    ("group_vs", {"group_counts": [3, 4]}, "`group_counts`"),
    ("group_vs", {"group_counts": [[3, 4], [0, 1], [1, 1]]}, "`group_counts`"),
    ("group_vs", {"group_counts": [[3, 4], [2, 1]]}, "`group_counts`"),
    ("group_vs", {"gamma": -1.0}, "`gamma`"),
    ("class_weighted", {"class_weights": [1.0, -1.0, 1.0]}, "`class_weights`"),
    ("poly", {"alpha": 0.0}, "`alpha`"),
]


@pytest.mark.parametrize(("name", "changed", "text"), WRONG)
def test_wrong_settings(name, changed, text):
    function, cls, settings, _, _ = CASES[name]
    y, z = batch(name)
    for call in (function, lambda y, z, **settings: cls(**settings)(y, z)):
        with pytest.raises(ValueError, match=re.escape(text)) as raised:
            call(y, z, **{**settings, **changed})
        assert "Received: " in str(raised.value)


def test_classes_hold_the_settings_of_one_model():
    for cls, settings in (
        (VSLoss, {"class_counts": [[5, 3]]}),
        (CDTLoss, {"class_counts": [5, 3], "class_weights": [[1.0, 2.0]]}),
        (LDAMLoss, {"class_counts": [5, 3, 2], "class_weights": [1.0, 2.0]}),
        (GroupVSLoss, {"group_counts": np.ones((2, 2, 2))}),
    ):
        with pytest.raises(ValueError, match=r"must have shape \(.*Received: "):
            cls(**settings)


def test_labels_of_groups():
    z = np.zeros((2, 3), "float32")
    for labels, text in (
        ([0, 1], "class and a group"),
        ([[0, 1, 0], [1, 0, 0]], "class and a group"),
        ([[0, 2], [1, 0]], "groups from 0 to 1"),
        ([[3, 0], [1, 0]], "labels from 0 to 2"),
    ):
        with pytest.raises(ValueError, match=rf"`y_true.*{text}.*Received: "):
            group_vs_loss(labels, z, CELLS)
    with pytest.raises(ValueError, match="two logits"):
        poly_tailed_loss([0, 1], z)
