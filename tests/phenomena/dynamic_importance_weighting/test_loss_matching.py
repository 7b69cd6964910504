"""Weights that match losses: against the solver of the library, in training, and their measures."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import rankdata

from tfphen import density_ratio
from tfphen.core.errors import UsageError
from tfphen.core.trial import Spec


@pytest.fixture(scope="module")
def matching(tensorflow):
    from tfphen.phenomena.dynamic_importance_weighting import loss_matching

    return loss_matching


@pytest.fixture(scope="module")
def objectives(tensorflow):
    from tfphen.phenomena.dynamic_importance_weighting import objectives

    return objectives


@pytest.fixture(scope="module")
def losses():
    """Losses of three batches, three fifths clean, and of held-out examples."""
    generator = np.random.default_rng(0)
    clean, flipped = generator.exponential(0.2, (3, 36)), 2 + generator.exponential(1.0, (3, 24))
    scale = np.array([[1.0], [0.3], [2.0]])
    held_out = generator.exponential(0.2, (3, 50))
    return scale * np.concatenate([clean, flipped], 1), scale * held_out


@pytest.mark.parametrize("kernel", ["median", "quantile", "inverse_median"])
def test_as_on_the_host(tensorflow, matching, losses, kernel):
    def function(*arguments):
        return matching.matched_weights(*arguments, kernel=kernel)

    compiled = tensorflow.function(function, jit_compile=True)
    matched = compiled(*losses).numpy()
    for batch, held_out, weights in zip(*losses, matched, strict=True):
        distances = abs(batch[:, None] - batch)[np.triu_indices(60, 1)]
        gamma = np.quantile(distances, 0.01 if kernel == "quantile" else 0.5)
        gamma = 0.5 / gamma**2 if kernel == "inverse_median" else gamma
        expected = density_ratio.kernel_mean_matching(batch, held_out, gamma, 50.0, gap=1e-6)
        # The low-rank approximation leaves a residual where the kernel is narrow.
        np.testing.assert_allclose(weights, expected, atol=1e-4 if kernel == "quantile" else 0.02)
        assert weights[:36].mean() > 5 * weights[36:].mean()


def test_padding_changes_nothing(matching, losses):
    batch, held_out = losses
    real = np.concatenate([np.ones((3, 60)), np.zeros((3, 9))], 1)
    padded = np.concatenate([batch, np.full((3, 9), 0.7)], 1)
    # A smaller tolerance: where the method stops depends on the number of rows.
    settings = {"gap": 1e-10, "steps": 60}
    weights = matching.matched_weights(padded, held_out, real, **settings).numpy()
    expected = matching.matched_weights(batch, held_out, **settings)
    np.testing.assert_allclose(weights[:, :60], expected, atol=1e-3)
    np.testing.assert_array_equal(weights[:, 60:], 0.0)


def test_losses_that_are_all_alike_get_ones(matching):
    weights = matching.matched_weights(np.full((1, 8), 0.3), np.full((1, 5), 9.0))
    np.testing.assert_allclose(weights, 1.0, atol=1e-4)
    one = matching.matched_weights([[0.3]], [[9.0]])
    assert np.isfinite(one).all()


def a_step(tensorflow, **fields):
    """One member with twelve training examples, in batches of eight."""
    generator = np.random.default_rng(1)
    step = {
        "inputs": tensorflow.constant(generator.normal(size=(1, 8, 3)), "float32"),
        "labels": tensorflow.constant(generator.integers(0, 3, (1, 8))),
        "outputs": tensorflow.constant(generator.normal(size=(1, 8, 3)), "float32"),
        "predict": lambda inputs: 5.0 * inputs,
        "held_out": lambda count: (
            tensorflow.zeros((1, count, 3)),
            tensorflow.zeros((1, count), "int64"),
        ),
        "constants": {
            "stream_seed": tensorflow.constant([7.0]),
        },
        "number": tensorflow.constant(2),
        "progress": tensorflow.constant([0.5]),
        "real": tensorflow.ones((1, 8)),
        "notes": {},
    }
    return SimpleNamespace(**step | fields)


def test_weights_wait_for_the_end_of_the_warm_up(tensorflow, objectives):
    objective = objectives.dynamic_importance_weighting(rows=4, warm_up=0.5)
    before = objective(a_step(tensorflow, progress=tensorflow.constant([0.49])))
    np.testing.assert_array_equal(before.weights, 1.0)
    after = objective(a_step(tensorflow))
    assert np.ptp(after.weights) > 0.1


def test_forms_of_the_weighted_loss(tensorflow, objectives):
    last = {"real": tensorflow.constant([[1.0] * 4 + [0.0] * 4])}
    for norm, form in (("mean", "weights"), ("none", "examples")):
        step = a_step(tensorflow, **last)
        objective = objectives.dynamic_importance_weighting(rows=4, weight_norm=norm)
        matched = objective(step)
        assert matched.divide_by == form
        noted = step.notes["weights"].numpy()
        if norm == "mean":
            assert noted[0, :4].mean() == pytest.approx(1.0, abs=1e-6)
            np.testing.assert_allclose(
                noted / noted.sum(), matched.weights / np.sum(matched.weights)
            )
        else:  # A sum over four rows, as a share of a batch of eight.
            np.testing.assert_allclose(matched.weights, noted / 2)


def test_separation_is_the_area_under_the_curve(tensorflow, objectives):
    generator = np.random.default_rng(2)
    weights = np.round(generator.random((2, 20)), 1).astype("float32")
    clean = np.zeros((2, 20), int)
    labels = clean.copy()
    labels[0, :7] = 1
    real = np.float32([[1] * 15 + [0] * 5, [1] * 20])
    step = SimpleNamespace(
        notes={"weights": tensorflow.constant(weights)},
        labels=tensorflow.constant(labels),
        clean_labels=tensorflow.constant(clean),
        real=tensorflow.constant(real),
    )
    auc, clean_mean, flipped_mean, mean = objectives.separation(step).numpy().T
    ranks = rankdata(weights[0, :15])
    assert auc[0] == pytest.approx((ranks[7:].sum() - 8 * 9 / 2) / (7 * 8), abs=1e-6)
    assert clean_mean[0] == pytest.approx(weights[0, 7:15].mean())
    assert flipped_mean[0] == pytest.approx(weights[0, :7].mean())
    assert mean[1] == pytest.approx(weights[1].mean())
    assert np.isnan(auc[1])


def test_random_weights_are_rectified_normal(tensorflow, objectives):
    shape = (1, 4000)
    step = a_step(
        tensorflow,
        labels=tensorflow.zeros(shape, "int32"),
        outputs=tensorflow.zeros((*shape, 3)),
        real=tensorflow.ones(shape),
        number=tensorflow.constant(0),
    )
    weights = objectives.random_weights("none")(step).weights.numpy()
    assert (weights == 0).mean() == pytest.approx(0.5, abs=0.03)
    assert weights.mean() == pytest.approx(1 / np.sqrt(2 * np.pi), abs=0.03)
    again = objectives.random_weights("none")(step)
    np.testing.assert_array_equal(again.weights, weights)
    step.number = tensorflow.constant(1)
    assert (objectives.random_weights("none")(step).weights.numpy() != weights).any()


def test_static_weights_follow_the_order_of_the_examples(tensorflow, objectives):
    from tfphen.train.batches import Order

    given = np.arange(1.0, 13.0, dtype="float32")[None]
    objective = objectives.static_importance_weighting(steps=6, weight_norm="none")
    order = Order(7, 12, 8).steps_between(0, 6)
    for number in range(6):
        real = tensorflow.cast(order[number : number + 1] >= 0, "float32")
        step = a_step(tensorflow, number=tensorflow.constant(number), real=real)
        step.constants["weights"] = tensorflow.constant(given)
        objective(step)
        positions = order[number][order[number] >= 0]
        noted = step.notes["weights"].numpy()[0]
        np.testing.assert_array_equal(noted[: len(positions)], positions + 1.0)
        assert not noted[len(positions) :].any()


def test_every_example_has_a_static_weight(tensorflow):
    from tfphen.phenomena.dynamic_importance_weighting import measures

    generator = np.random.default_rng(3)
    labels = {"train": generator.integers(0, 3, (2, 50)), "validation": np.zeros((2, 9), int)}
    flipped = np.arange(50) % 3 == 0
    right = labels["train"].copy()
    right[:, flipped] = (right[:, flipped] + 1) % 3
    rights = {"train": right, "validation": labels["validation"]}

    def log_probabilities(split):
        logits = 4.0 * np.eye(3)[rights[split]] + generator.normal(size=(*rights[split].shape, 3))
        return logits - np.log(np.exp(logits).sum(-1, keepdims=True))

    objective = Spec("dynamic_importance_weighting", kernel="median", bound=50.0)
    trained = SimpleNamespace(
        log_probabilities=log_probabilities,
        labels=lambda split: labels[split],
        trials=[SimpleNamespace(seed=seed, objective=objective, batch_size=16) for seed in (0, 1)],
    )
    weights = measures.static_weights(trained)
    assert weights.shape == (2, 50)
    np.testing.assert_allclose(weights.mean(1), 1.0, rtol=1e-5)
    assert (weights[:, ~flipped].mean(1) > 5 * weights[:, flipped].mean(1)).all()
    assert (weights > 0).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kernel": "mean"}, "`kernel` must be one of"),
        ({"weight_norm": "sum"}, "`weight_norm` must be one of"),
        ({"bound": 1.0}, "`bound` must be"),
        ({"rows": 0}, "`rows` must be"),
        ({"warm_up": 2.0}, "`warm_up` must be"),
    ],
)
def test_invalid_settings_are_rejected(objectives, settings, message):
    with pytest.raises(UsageError, match=message):
        objectives.dynamic_importance_weighting(**settings)


def test_examples(matching):
    import doctest

    assert doctest.testmod(matching).failed == 0
