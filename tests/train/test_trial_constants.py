"""Constants of a trial, and the counts of classes, as the objective sees them."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec, Trial
from tfphen.experiment import plan, training
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.train import objectives
from tfphen.train.loop import StepHook


def scaled(step):
    factor = step.constants["factor"] * step.constants["shares"][:, 1]
    return objectives.cross_entropy(step) * factor[:, None]


class Scaled(Phenomenon):
    title = claim = paper = "a test"
    objectives = {"scaled": lambda: scaled}  # noqa: RUF012

    def trials(self, config):
        return ()

    step_hook = StepHook(
        ("factor", "share", "first_class"),
        lambda step, gradients: tf.stack(
            (
                step.constants["factor"],
                step.constants["shares"][:, 1],
                step.constants["class_counts"][:, 0],
            ),
            1,
        ),
    )


def scaled_trial(factor, share, **settings):
    return Trial(
        Spec("linear"),
        Data("digits", train=60, test=20),
        objective=Spec("scaled"),
        optimizer=Spec("sgd", learning_rate=0.1),
        batch_size=None,
        steps=3,
        record_every=1,
        constants={"factor": factor, "shares": (0.0, share)},
        **settings,
    )


def run(*members):
    return training.train(Scaled(), members, lambda one: {}, tf.distribute.get_strategy())


def test_each_member_has_the_constants_of_its_trial():
    members = [scaled_trial(1, 1.0), scaled_trial(2.5, 1.0), scaled_trial(2.5, 0.0)]
    assert len({one.id for one in members}) == 3 and len(plan.groups(members)) == 1
    outcomes = run(*members)
    for outcome, factor, share in zip(outcomes, (1, 2.5, 2.5), (1, 1, 0), strict=True):
        np.testing.assert_array_equal(outcome.arrays["step_factor"], [factor] * 3)
        np.testing.assert_array_equal(outcome.arrays["step_share"], [share] * 3)
    plain, large, nothing = (outcome.arrays["step_loss"] for outcome in outcomes)
    assert large[0] == pytest.approx(2.5 * plain[0]) and (nothing == 0).all()
    (alone,) = run(members[1])
    np.testing.assert_allclose(alone.arrays["step_loss"], large, rtol=1e-5)


def test_class_counts_are_those_of_each_member():
    kept = Spec("class_fractions", fractions=(0.5,) + (1.0,) * 9)
    whole = scaled_trial(1, 1.0)
    thinned = dataclasses.replace(whole, data=Data("digits", 60, 20, corruptions=(kept,)))
    first, second = (outcome.arrays["step_first_class"][0] for outcome in run(whole, thinned))
    assert second == first // 2 > 0


def test_constants_of_other_names_are_another_graph():
    one = scaled_trial(1, 1.0)
    other = dataclasses.replace(one, constants={"factor": 1, "shares": (0.0, 1.0), "more": 2})
    assert len(plan.groups([one, other])) == 2
    with pytest.raises(UsageError, match="plain data"):
        dataclasses.replace(one, constants={"factor": object()})
