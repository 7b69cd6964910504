"""Objectives that know class counts: those of each member, reversed, and deferred weights."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tfphen import losses
from tfphen.core.errors import UsageError
from tfphen.core.trial import Spec
from tfphen.experiment import training
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import balanced_error, class_counts, class_recall, error
from tfphen.phenomena._shared.long_tail import LongTailConfig, long_tail_trial
from tfphen.train.class_objectives import class_counts as counts_of
from tfphen.train.class_objectives import ldam, poly_tailed, vector_scaling
from tfphen.train.loss_objectives import cross_entropy
from tfphen.train.objectives import Step, Weighted

COUNTS = np.asarray([[40, 10, 20], [5, 60, 5]], "float32")
OPTIONS = {"classes": 4, "dimensions": 6, "train_per_class": 40, "test_per_class": 20}


def a_step(progress=(0.0, 1.0), **constants):
    generator = np.random.default_rng(0)
    outputs = tf.constant(generator.normal(size=(2, 7, 3)), tf.float32)
    labels = tf.constant(generator.integers(0, 3, (2, 7)), tf.int32)
    known = {"class_counts": tf.constant(COUNTS)}
    known |= {name: tf.constant(value, tf.float32) for name, value in constants.items()}
    fields = {field.name: None for field in dataclasses.fields(Step)}
    fields |= {"labels": labels, "outputs": outputs, "constants": known}
    return Step(**{**fields, "progress": tf.constant(progress), "notes": {}})


@pytest.mark.parametrize(
    ("objective", "function", "settings"),
    [
        (ldam(0.4, 10.0), losses.ldam_loss, {"max_margin": 0.4, "scale": 10.0}),
        (vector_scaling(0.2, 0.7), losses.vs_loss, {"gamma": 0.2, "tau": 0.7}),
    ],
)
def test_each_member_has_its_own_counts(objective, function, settings):
    step = a_step()
    found = objective(step)
    for member, counts in enumerate(COUNTS):
        expected = function(step.labels[member], step.outputs[member], counts, **settings)
        np.testing.assert_allclose(found[member], expected, rtol=1e-5, atol=1e-6)


def test_reversed_counts_are_the_same_numbers_on_other_classes():
    step = a_step()
    found = counts_of(step, "reversed")[:, 0]
    np.testing.assert_array_equal(found[0], [10, 40, 20])
    np.testing.assert_array_equal(np.sort(found, 1), np.sort(COUNTS, 1))
    assert found[1, 1] == 5
    np.testing.assert_array_equal(counts_of(step, "own")[:, 0], COUNTS)


@pytest.mark.parametrize("make", [cross_entropy, ldam, vector_scaling, poly_tailed])
def test_weights_start_late(make):
    weighting = {"kind": "effective_number", "start": 0.8}
    step = a_step(progress=(0.79, 0.8))
    if make is poly_tailed:
        step.outputs, step.labels = step.outputs[..., :2], tf.minimum(step.labels, 1)
        step.constants["class_counts"] = tf.constant(COUNTS[:, :2])
    found = make(weighting=weighting)(step)
    assert isinstance(found, Weighted)
    np.testing.assert_array_equal(found.weights[0], np.ones(7))
    counts = step.constants["class_counts"].numpy()[1]
    expected = losses.effective_number_weights(counts, normalization="examples")
    np.testing.assert_allclose(found.weights[1], expected[step.labels[1].numpy()], rtol=1e-5)
    np.testing.assert_allclose(found.losses, make()(step), rtol=1e-6)


def test_given_weights_are_those_of_the_trial():
    step = a_step(class_weights=[[1.0, 2.0, 3.0], [5.0, 0.0, 1.0]])
    found = cross_entropy(weighting={"kind": "given", "divide_by": "examples"})(step)
    labels = step.labels.numpy()
    np.testing.assert_array_equal(found.weights[0], np.asarray([1, 2, 3])[labels[0]])
    np.testing.assert_array_equal(found.weights[1], np.asarray([5, 0, 1])[labels[1]])
    assert found.divide_by == "examples"


@pytest.mark.parametrize(
    ("weighting", "message"),
    [
        ({"kind": "own"}, "`kind` must be one of"),
        ({"beta": 0.9}, "needs a `kind`"),
        ({"kind": "given", "begin": 0.5}, "Unknown setting 'begin'"),
        ({"kind": "given", "start": 2.0}, "`start`"),
        ({"kind": "given", "divide_by": "batch"}, "`divide_by`"),
    ],
)
def test_wrong_weightings_are_refused(weighting, message):
    with pytest.raises(UsageError, match=message):
        cross_entropy(weighting=weighting)


def test_given_weights_that_are_missing():
    with pytest.raises(UsageError, match='constant "class_weights"'):
        cross_entropy(weighting={"kind": "given"})(a_step())


class Long(Phenomenon):
    title = claim = paper = "a test"
    measures = (error("train"), balanced_error("test"), class_recall("test"), class_counts())


@pytest.fixture(scope="module")
def config():
    return LongTailConfig(
        options=OPTIONS,
        ratio=8.0,
        max_count=40,
        balanced_count=15,
        model_settings={"hidden_units": (8,)},
        optimizer_settings={"learning_rate": 0.05},
        batch_size=16,
        epochs=4.0,
        warmup_epochs=2,
        drops=(0.75,),
        drop_factors=(0.1,),
    )


def run(*members):
    return training.train(Long(), members, lambda one: {}, tf.distribute.get_strategy())


def test_a_member_trains_as_it_would_alone(config):
    objective = Spec("ldam", weighting={"kind": "effective_number", "start": 0.5})
    members = [long_tail_trial(config, seed, objective, head="cosine") for seed in (0, 1)]
    members.append(long_tail_trial(config, 2, objective, head="cosine", balanced=True))
    together = run(*members)
    for member, outcome in zip(members, together, strict=True):
        alone = run(member)[0]
        assert alone.values == pytest.approx(outcome.values, abs=1e-6)
        assert alone.arrays["class_counts"].tolist() == outcome.arrays["class_counts"].tolist()
        recall = outcome.arrays["test_class_recall"]
        assert outcome.values["test_balanced_error"] == pytest.approx(1 - recall.mean())
    assert sorted(together[0].arrays["class_counts"]) == [5, 10, 20, 40]
    assert together[2].arrays["class_counts"].tolist() == [15] * 4
    assert len({tuple(one.arrays["class_counts"]) for one in together}) == 3


def test_constants_differ_within_a_population(config):
    settings = {"weighting": {"kind": "given", "divide_by": "examples"}}
    objective = Spec("cross_entropy", **settings)
    weights = [(1.0, 1.0, 1.0, 1.0), (0.0, 0.0, 4.0, 4.0)]
    members = [
        long_tail_trial(config, 0, objective, constants={"class_weights": one}) for one in weights
    ]
    plain, lopsided = run(*members)
    assert lopsided.arrays["test_class_recall"][:2].tolist() == [0.0, 0.0]
    assert plain.arrays["test_class_recall"][:2].sum() > 0
    alone = run(members[1])[0]
    assert alone.values == pytest.approx(lopsided.values, abs=1e-6)


def test_the_protocol_of_a_long_tail(config):
    schedule = config.schedule()
    assert schedule.settings["fractions"] == (0.0, 0.25, 0.75)
    assert schedule.settings["factors"] == (0.5, 1.0, 0.1)
    short = dataclasses.replace(config, epochs=2.0)
    assert short.schedule().settings["factors"] == (0.5, 1.0)
    one = dataclasses.replace(config, epochs=1.0)
    assert one.schedule() == Spec("piecewise", fractions=(0.0,), factors=(0.5,))
    plain = dataclasses.replace(config, warmup_epochs=0, drops=(), drop_factors=())
    assert plain.schedule() == Spec("constant")
    images = dataclasses.replace(
        config, crop=4, options={"mean": (0.5, 0.4), "deviation": (0.25, 0.2)}
    )
    assert images.augmentation() == Spec("crop_and_flip", padding=4, fill=(-2.0, -2.0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"imbalance": "tail"}, "imbalance"),
        ({"drops": (0.5,), "drop_factors": ()}, "one entry for each fall"),
    ],
)
def test_wrong_protocols_are_refused(config, changes, message):
    with pytest.raises(UsageError, match=message):
        dataclasses.replace(config, **changes)


def test_the_subset_may_stay_while_the_rest_is_drawn_anew(config):
    fixed = dataclasses.replace(config, subset_seed=7)
    one = long_tail_trial(fixed, 3, Spec("ldam"), stream_seeds={"init": 5})
    assert dict(one.stream_seeds) == {"long_tail": 7, "init": 5}
    assert long_tail_trial(config, 3, Spec("ldam")).stream_seeds == {}


def test_a_balanced_control_needs_a_count(config):
    without = dataclasses.replace(config, balanced_count=None)
    with pytest.raises(UsageError, match="balanced_count"):
        long_tail_trial(without, 0, Spec("cross_entropy"), balanced=True)
