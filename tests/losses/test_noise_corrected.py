"""Forward and backward correction against NumPy in float64, closed forms and card identities."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfphen.data import transition_matrix
from tfphen.losses import (
    BackwardCorrectedCrossentropy,
    ForwardCorrectedCrossentropy,
    backward_corrected_crossentropy,
    forward_corrected_crossentropy,
)
from tfphen.losses.noise_corrected import inverse_of

MATRICES = {
    "symmetric": transition_matrix("wrong", 0.2, 10),
    "pair": transition_matrix("pair", 0.3, 10),
    "mnist": transition_matrix("mnist_flips", 0.6, 10),
    "dense": np.random.default_rng(5).dirichlet(np.full(10, 0.5), 10) * 0.5 + np.eye(10) * 0.5,
}


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def batch(count=40, classes=10, scale=2.0, seed=0):
    generator = np.random.default_rng(seed)
    logits = generator.normal(scale=scale, size=(count, classes)).astype("float32")
    return generator.integers(0, classes, count).astype("int32"), logits


def reference(kind, y, z, matrix):
    p = softmax(z.astype("float64"))
    if kind == "forward":
        return -np.log((p @ matrix)[np.arange(len(y)), y])
    return -(np.linalg.inv(matrix)[y] * np.log(p)).sum(-1)


FUNCTIONS = {"forward": forward_corrected_crossentropy, "backward": backward_corrected_crossentropy}


def value_and_gradient(function, y, z, *args, **settings):
    z = tf.constant(z)
    with tf.GradientTape() as tape:
        tape.watch(z)
        loss = function(y, z, *args, **settings)
    return loss.numpy(), tape.gradient(loss, z).numpy()


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("kind", FUNCTIONS)
def test_values_and_gradients_against_numpy(kind, name):
    (y, z), matrix = batch(), MATRICES[name]
    p, rows = softmax(z.astype("float64")), np.arange(len(y))
    if kind == "forward":
        columns = matrix[:, y].T
        expected = p - p * columns / (p * columns).sum(-1, keepdims=True)
    else:
        expected = p - np.linalg.inv(matrix)[y]
    for given in (matrix, matrix.tolist(), tf.constant(matrix, tf.float32)):
        loss, gradient = value_and_gradient(FUNCTIONS[kind], y, z, given)
        assert loss.shape == rows.shape and loss.dtype == np.float32
        np.testing.assert_allclose(loss, reference(kind, y, z, matrix), rtol=2e-5, atol=2e-5)
        np.testing.assert_allclose(gradient, expected, atol=2e-5)
    from_probabilities = FUNCTIONS[kind](y, (3 * p).astype("float32"), matrix, from_logits=False)
    np.testing.assert_allclose(
        from_probabilities, reference(kind, y, z, matrix), rtol=2e-4, atol=2e-5
    )


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_gradient_against_finite_differences(kind):
    (y, z), matrix = batch(8), MATRICES["mnist"]
    z = z.astype("float64")
    _, gradient = value_and_gradient(FUNCTIONS[kind], y, z, matrix)
    assert gradient.dtype == np.float64
    step = 1e-5
    for column in range(10):
        moved = np.eye(10)[column] * step
        up, down = (reference(kind, y, z + sign * moved, matrix) for sign in (1, -1))
        np.testing.assert_allclose(gradient[:, column], (up - down) / (2 * step), atol=1e-7)


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_identity_is_plain_cross_entropy(kind):
    y, z = batch()
    plain = tf.nn.sparse_softmax_cross_entropy_with_logits(y, z).numpy()
    loss, gradient = value_and_gradient(FUNCTIONS[kind], y, z, np.eye(10))
    np.testing.assert_allclose(loss, plain, atol=1e-6)
    np.testing.assert_allclose(gradient, softmax(z) - np.eye(10)[y], atol=1e-6)


@pytest.mark.parametrize("name", MATRICES)
def test_backward_is_unbiased(name):
    y, z = batch()
    matrix = MATRICES[name]
    every = np.stack(
        [backward_corrected_crossentropy(np.full_like(y, j), z, matrix) for j in range(10)], -1
    )
    clean = -np.log(softmax(z.astype("float64")))
    np.testing.assert_allclose(every.astype("float64") @ matrix.T, clean, atol=1e-4)
    losses = np.random.default_rng(1).normal(size=10)
    assert np.abs(matrix @ (inverse_of(matrix) @ losses) - losses).max() < 1e-14


def test_inverse_of_symmetric_noise_in_closed_form():
    inverse = inverse_of(MATRICES["symmetric"])
    np.testing.assert_allclose(np.diag(inverse), 1.2571429, atol=1e-7)
    np.testing.assert_allclose(inverse[0, 1:], -0.0285714, atol=1e-7)
    a, b = 1 - 0.2 * 10 / 9, 0.2 / 9
    np.testing.assert_allclose(inverse, (np.eye(10) - b) / a, atol=1e-14)


def test_mnist_flips_of_six_tenths():
    matrix = MATRICES["mnist"]
    inverse = inverse_of(matrix)
    assert abs(np.linalg.det(matrix) + 0.0128) < 1e-12
    np.testing.assert_allclose(inverse[5, 5:7], [-2, 3], atol=1e-12)
    np.testing.assert_allclose(inverse[2, [1, 2, 7]], [2.25, 2.5, -3.75], atol=1e-12)
    assert abs(np.linalg.cond(matrix) - 6.8) < 0.05


def test_uniform_noise_leaves_nothing_to_learn():
    y, z = batch()
    loss, gradient = value_and_gradient(
        forward_corrected_crossentropy, y, z, np.full((10, 10), 0.1)
    )
    np.testing.assert_allclose(loss, np.log(10), atol=1e-6)
    np.testing.assert_allclose(gradient, 0, atol=1e-6)


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_orientation_rows_are_clean_classes(kind):
    (y, z), matrix = batch(), MATRICES["mnist"]
    right = np.asarray(FUNCTIONS[kind](y, z, matrix))
    wrong = np.asarray(FUNCTIONS[kind](y, z, tf.constant(matrix.T)))
    np.testing.assert_allclose(right, reference(kind, y, z, matrix), rtol=1e-4, atol=1e-4)
    assert np.abs(right - wrong).max() > 0.5


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("kind", FUNCTIONS)
def test_stacks_of_matrices(kind, compiled):
    stack = np.stack([MATRICES["symmetric"], MATRICES["mnist"], MATRICES["dense"]])
    y, z = (np.stack(parts) for parts in zip(*(batch(7, seed=s) for s in range(3)), strict=True))

    def run(*args):
        function = tf.function(FUNCTIONS[kind], jit_compile=compiled)
        return function(*(tf.constant(x) for x in args)).numpy()

    alone = np.stack([np.asarray(FUNCTIONS[kind](y[m], z[m], stack[m])) for m in range(3)])
    values = stack.astype("float32")
    np.testing.assert_allclose(run(y, z, values[:, None]), alone, rtol=1e-4, atol=1e-4)
    each = np.repeat(values[:, None], 7, 1)
    np.testing.assert_allclose(run(y, z, each), alone, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(run(y[0], z[0], each[0]), alone[0], rtol=1e-4, atol=1e-4)
    same = run(y, z, values[[1, 1, 1]][:, None])
    np.testing.assert_allclose(run(y, z, values[1]), same, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(FUNCTIONS[kind](y, z, stack[:, None]), alone, rtol=1e-4, atol=1e-4)


def test_extreme_logits_stay_finite():
    matrix = MATRICES["mnist"]
    y = np.arange(10, dtype="int32")
    for scale in (100.0, 1e4):
        z = (scale * np.eye(10)[(y + 4) % 10]).astype("float32")
        for clip in (True, False):
            loss, gradient = value_and_gradient(
                backward_corrected_crossentropy, y, z, matrix, clip=clip
            )
            assert np.isfinite(loss).all() and np.isfinite(gradient).all()
            if clip:
                assert np.abs(loss).max() < 10 * 3.75 * 16.2
        loss, gradient = value_and_gradient(forward_corrected_crossentropy, y, z, matrix)
        assert np.isfinite(loss).all() and np.isfinite(gradient).all()
        np.testing.assert_allclose(loss, scale, rtol=0.02)


def test_clipped_probabilities_bound_the_loss_below():
    matrix = MATRICES["mnist"]
    z = np.zeros((1, 10), "float32")
    z[0, 5] = -40.0
    free = float(backward_corrected_crossentropy([5], z, matrix, clip=False)[0])
    clipped, gradient = value_and_gradient(backward_corrected_crossentropy, [5], z, matrix)
    assert free < -75 and float(clipped[0]) > -30
    # Nothing pulls the score of class 5 further down.
    assert gradient[0, 5] == pytest.approx(0.0, abs=1e-6)


def test_curvature_within_a_layer_depends_on_labels_only_under_forward_correction():
    generator = np.random.default_rng(3)
    x = tf.constant(generator.normal(size=(12, 3)))
    first = tf.constant(generator.normal(size=(3, 4)))
    second = tf.constant(generator.normal(size=(4, 3)))
    matrix = np.array([[0.7, 0.3, 0.0], [0.1, 0.8, 0.1], [0.0, 0.4, 0.6]])
    labels = [generator.integers(0, 3, 12) for _ in range(2)]

    def hessian(loss, y, layer):
        weights = [tf.reshape(first, [-1]), tf.reshape(second, [-1])]
        chosen = weights[layer]
        with tf.GradientTape() as outer:
            outer.watch(chosen)
            with tf.GradientTape() as inner:
                inner.watch(chosen)
                use = [chosen if i == layer else w for i, w in enumerate(weights)]
                hidden = tf.nn.relu(x @ tf.reshape(use[0], (3, 4)))
                value = tf.reduce_mean(loss(y, hidden @ tf.reshape(use[1], (4, 3))))
            slope = inner.gradient(value, chosen)
        return outer.jacobian(slope, chosen).numpy()

    losses = {
        "plain": lambda y, z: forward_corrected_crossentropy(y, z, np.eye(3)),
        "backward": lambda y, z: backward_corrected_crossentropy(y, z, matrix, clip=False),
        "forward": lambda y, z: forward_corrected_crossentropy(y, z, matrix),
    }
    for layer in (0, 1):
        difference = {
            name: np.abs(hessian(f, labels[0], layer) - hessian(f, labels[1], layer)).max()
            for name, f in losses.items()
        }
        assert difference["plain"] < 1e-12 and difference["backward"] < 1e-12
        assert difference["forward"] > 1e-3


def test_half_precision_predictions_are_computed_in_float32():
    y, z = batch()
    half = tf.cast(z, tf.bfloat16)
    loss = forward_corrected_crossentropy(y, half, MATRICES["pair"])
    assert loss.dtype == tf.float32
    expected = forward_corrected_crossentropy(y, tf.cast(half, tf.float32), MATRICES["pair"])
    np.testing.assert_array_equal(loss, expected)


def test_labels_of_any_dtype_and_with_an_axis():
    y, z = batch()
    expected = np.asarray(forward_corrected_crossentropy(y, z, MATRICES["pair"]))
    for labels in (y.astype("float32"), y.astype("int64"), y[:, None], y.tolist()):
        found = np.asarray(forward_corrected_crossentropy(labels, z, MATRICES["pair"]))
        np.testing.assert_array_equal(found, expected)


SINGULAR = transition_matrix("wrong", 0.9, 10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda y, z: backward_corrected_crossentropy(y, z, SINGULAR), "condition number"),
        (lambda y, z: BackwardCorrectedCrossentropy(SINGULAR), "forward correction"),
        (lambda y, z: backward_corrected_crossentropy(y, z), "neither"),
        (
            lambda y, z: backward_corrected_crossentropy(y, z, np.eye(10), inverse_matrix=SINGULAR),
            "both",
        ),
        (lambda y, z: forward_corrected_crossentropy(y, z, np.ones((10, 10))), "sum to 1"),
        (lambda y, z: forward_corrected_crossentropy(y, z, np.ones((10, 9))), "shape"),
        (lambda y, z: ForwardCorrectedCrossentropy(np.eye(3)[None]), r"\(K, K\)"),
        (lambda y, z: ForwardCorrectedCrossentropy(2 * np.eye(3) - 1 / 3), "negative"),
        (lambda y, z: forward_corrected_crossentropy(np.eye(10)[y], z, np.eye(10)), "one-hot"),
        (
            lambda y, z: forward_corrected_crossentropy(y, z, np.eye(10)[None, None]),
            "leading axes",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call(*batch())


def test_forward_correction_of_the_uninvertible():
    y, z = batch()
    loss = forward_corrected_crossentropy(y, z, SINGULAR)
    assert np.isfinite(np.asarray(loss)).all()


def test_predictions_are_those_of_the_clean_classes():
    """Minimizing either loss on the exact noisy labels of one point per class finds the class."""
    matrix = MATRICES["mnist"]
    counts = np.round(matrix * 10).astype(int)
    clean = np.repeat(np.arange(10), 10)
    noisy = np.concatenate([np.repeat(np.arange(10), row) for row in counts])
    for loss in (
        ForwardCorrectedCrossentropy(matrix),
        BackwardCorrectedCrossentropy(matrix),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    ):
        scores = tf.Variable(tf.zeros((10, 10)))
        for _ in range(300):
            with tf.GradientTape() as tape:
                value = loss(noisy, tf.gather(scores, clean))
            scores.assign_sub(20.0 * tf.convert_to_tensor(tape.gradient(value, scores)))
        found = scores.numpy().argmax(1)
        corrected = "Corrected" in type(loss).__name__
        assert (found == np.arange(10)).sum() == (10 if corrected else 5)
