"""The tool that takes the first steps of a paper experiment: what it trains and what it counts."""

import importlib.util
from pathlib import Path

import keras
import pytest

from tfphen.core.trial import Data, Spec, Trial
from tfphen.layers import SpectralNormalization

PATH = Path(__file__).resolve().parents[1] / "tools" / "first_steps.py"
LOADER = importlib.util.spec_from_file_location("first_steps", PATH)
first_steps = importlib.util.module_from_spec(LOADER)
LOADER.loader.exec_module(first_steps)

layers = keras.layers


def trial(**settings):
    further = {"other": Spec("digits")}
    data = Data("cifar10", train=None, further=further)
    return Trial(Spec("mlp"), data, epochs=200, batch_size=100, curve=(1, 2), **settings)


def test_a_short_trial_keeps_batch_and_network_and_drops_the_rest():
    mixed = trial(mixing=Spec("manifold", layers=(0,), alpha=2.0))
    short = first_steps.shortened(mixed, 5, 1000)
    assert (short.steps, short.epochs, short.batch_size, short.data.train) == (5, None, 100, 500)
    assert short.model == trial().model and not short.curve and not short.data.further
    assert short.mixing == Spec("manifold", layers=(0,), alpha=2.0, parts=2)
    assert first_steps.shortened(trial(), 5, 1000).mixing == Spec("none")


def test_a_warm_up_is_as_long_as_in_the_whole_training():
    schedule = Spec("piecewise", fractions=(0.5,), factors=(0.1,), warmup=0.01, warmup_start=0.0)
    short = first_steps.shortened(trial(schedule=schedule), 5, 1000)
    assert short.schedule == Spec("constant", warmup=2.0, warmup_start=0.0)
    assert first_steps.shortened(trial(), 5, 1000).schedule == Spec("constant")


def test_trials_are_chosen_by_their_tags():
    one, other = trial(tags={"arm": "one"}), trial(tags={"arm": "other"}, seed=1)
    assert first_steps.chosen([one, other], {"arm": "other"}) is other
    with pytest.raises(SystemExit, match="There are: arm=one, arm=other"):
        first_steps.chosen([one, other], {"arm": "third"})


def test_operations_of_dense_and_convolutional_layers_are_counted_also_in_wrappers():
    inputs = keras.Input((8, 8, 3))
    values = layers.Conv2D(4, 3, padding="same", strides=2)(inputs)
    values = SpectralNormalization(layers.Conv2D(5, 1))(values)
    outputs = layers.Dense(7)(layers.Flatten()(values))
    counted = first_steps.operations(keras.Model(inputs, outputs))
    assert counted == 2 * (16 * 3 * 3 * 3 * 4 + 16 * 4 * 5 + 80 * 7)
