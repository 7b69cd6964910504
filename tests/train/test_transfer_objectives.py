"""The objectives of the transfer comparison: each member's own losses, weights and limits."""

import dataclasses
from typing import ClassVar

import numpy as np
import pytest
import tensorflow as tf

from tfphen import losses
from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec, Trial
from tfphen.experiment import training
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.losses import cosine_softmax_crossentropy
from tfphen.measures.basic import Measure
from tfphen.phenomena.loss_transfer.network import network
from tfphen.train import objectives
from tfphen.train.objectives import Step
from tfphen.train.transfer_objectives import TRANSFER_OBJECTIVES, final_layer_penalty

MEMBERS, BATCH, CLASSES, FEATURES = 2, 7, 5, 4


def a_step(outputs=None, **weights):
    generator = np.random.default_rng(0)
    drawn = generator.normal(size=(MEMBERS, BATCH, CLASSES))
    outputs = drawn if outputs is None else outputs
    weights = {"logits/kernel": generator.normal(size=(MEMBERS, FEATURES, CLASSES)), **weights}
    fields = {field.name: None for field in dataclasses.fields(Step)}
    fields |= {
        "labels": tf.constant(generator.integers(0, CLASSES, (MEMBERS, BATCH)), tf.int32),
        "outputs": tf.constant(outputs, tf.float32),
        "weights": {path: tf.constant(value, tf.float32) for path, value in weights.items()},
    }
    return Step(**{**fields, "notes": {}})


CASES = [
    ("label_smoothing", {"alpha": 0.3}, losses.label_smoothed_crossentropy),
    ("logit_penalty", {"beta": 0.2}, losses.logit_penalty_crossentropy),
    ("logit_normalization", {"temperature": 0.5}, losses.logit_normalized_crossentropy),
    ("cosine_softmax", {"temperature": 0.2}, losses.cosine_softmax_crossentropy),
    ("sigmoid_crossentropy", {}, losses.sigmoid_crossentropy),
    (
        "transfer_squared_error",
        {"kappa": 2.0, "target": 3.0, "scale": 0.5},
        losses.squared_error_loss,
    ),
]


def test_every_objective_is_compared():
    assert {name for name, _, _ in CASES} | {"final_layer_penalty"} == set(TRANSFER_OBJECTIVES)


@pytest.mark.parametrize(("name", "settings", "function"), CASES)
def test_each_member_has_the_losses_of_the_library(name, settings, function):
    step = a_step()
    found = TRANSFER_OBJECTIVES[name](**settings)(step)
    assert found.shape == (MEMBERS, BATCH)
    for member in range(MEMBERS):
        expected = function(step.labels[member], step.outputs[member], **settings)
        np.testing.assert_allclose(found[member], expected, rtol=1e-6)
    assert abs(found - TRANSFER_OBJECTIVES[name]()(step)).numpy().max() > 1e-3 or not settings


def test_the_penalty_is_that_of_each_member_s_last_kernel():
    step = a_step()
    found = final_layer_penalty(l2=0.6)(step) - objectives.cross_entropy(step)
    for member in range(MEMBERS):
        squares = np.square(step.weights["logits/kernel"][member]).sum()
        np.testing.assert_allclose(found[member], np.full(BATCH, 0.3 * squares), rtol=1e-5)
    with pytest.raises(UsageError, match=r"one of logits/kernel\. Received: kernel='readout'"):
        final_layer_penalty(kernel="readout")(step)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("label_smoothing", {"alpha": 0.0}),
        ("final_layer_penalty", {"l2": 0.0}),
        ("logit_penalty", {"beta": 0.0}),
        ("cosine_softmax", {"temperature": 1.0}),
    ],
)
def test_limits_are_cross_entropy(name, settings):
    step = a_step()
    found = TRANSFER_OBJECTIVES[name](**settings)(step)
    np.testing.assert_allclose(found, objectives.cross_entropy(step), rtol=1e-5)


def test_floor_and_scale_of_logit_normalization():
    step = a_step()
    objective = TRANSFER_OBJECTIVES["logit_normalization"](temperature=1.0)
    longer = a_step(3.0 * step.outputs.numpy())
    np.testing.assert_allclose(objective(longer), objective(step), rtol=1e-5)
    best = tf.one_hot(step.labels, CLASSES) - 1 / CLASSES
    floor = np.log1p((CLASSES - 1) * np.exp(-np.sqrt(CLASSES / (CLASSES - 1))))
    np.testing.assert_allclose(objective(a_step(best.numpy())), floor, rtol=1e-5)
    assert objective(step).numpy().min() >= floor


def test_sigmoid_at_zero_and_squared_error_at_its_target():
    zero = a_step(np.zeros((MEMBERS, BATCH, CLASSES)))
    expected = np.log1p(CLASSES) + (CLASSES - 1) * np.log1p(1 / CLASSES)
    found = TRANSFER_OBJECTIVES["sigmoid_crossentropy"]()(zero)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    at_target = a_step(60.0 * np.eye(CLASSES)[zero.labels.numpy()])
    assert not TRANSFER_OBJECTIVES["transfer_squared_error"]()(at_target).numpy().any()
    ones = TRANSFER_OBJECTIVES["transfer_squared_error"](1.0, 1.0, 1.0)
    step = a_step()
    distance = np.square(step.outputs - tf.one_hot(step.labels, CLASSES)).sum(-1)
    np.testing.assert_allclose(ones(step), distance, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("label_smoothing", {"alpha": 1.0}),
        ("final_layer_penalty", {"l2": -1.0}),
        ("logit_penalty", {"beta": -1.0}),
        ("logit_normalization", {"temperature": 0.0}),
        ("cosine_softmax", {"temperature": 0.0}),
        ("transfer_squared_error", {"kappa": 0.0}),
    ],
)
def test_wrong_settings_are_refused_at_once(name, settings):
    (setting,) = settings
    with pytest.raises(ValueError, match=f"Received: {setting}="):
        TRANSFER_OBJECTIVES[name](**settings)


@pytest.mark.parametrize("normalized", [True, False])
def test_cosines_are_those_of_features_and_kernel(normalized):
    settings = {"normalize_features": normalized}
    model = network(
        (3,), CLASSES, body="mlp", hidden_units=[FEATURES], head="cosine_softmax",
        head_settings=settings,
    )  # fmt: skip
    kernel, bias = model.get_layer("logits").get_weights()
    model.get_layer("logits").set_weights([2.0 * kernel, bias + np.arange(CLASSES)])
    inputs = np.random.default_rng(0).normal(size=(BATCH, 3)).astype("float32")
    hidden = model.get_layer("hidden_1")
    features = np.maximum(inputs @ hidden.kernel.numpy() + hidden.bias.numpy(), 0)
    cosines = features @ (kernel / np.linalg.norm(kernel, axis=0))
    if normalized:
        cosines /= np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    outputs = model(inputs).numpy()
    np.testing.assert_allclose(outputs, cosines + np.arange(CLASSES), rtol=1e-4, atol=1e-5)
    labels = np.arange(BATCH) % CLASSES
    step = dataclasses.replace(
        a_step(np.stack([outputs] * MEMBERS)), labels=tf.constant(np.stack([labels] * MEMBERS))
    )
    found = TRANSFER_OBJECTIVES["cosine_softmax"](temperature=0.2)(step)[0]
    expected = cosine_softmax_crossentropy(labels, cosines + np.arange(CLASSES), 0.2)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def squares_of_last_kernel(trained):
    return np.square(trained.members.value_of("logits/kernel")).sum((1, 2))


class Penalized(Phenomenon):
    title = claim = paper = "a test"
    measures = (Measure("squares", squares_of_last_kernel),)
    objectives: ClassVar = TRANSFER_OBJECTIVES
    models: ClassVar = {"network": network}


def test_the_penalty_shrinks_the_last_kernel_of_each_member():
    made = [
        Trial(
            model=Spec("network", body="mlp", hidden_units=[4]),
            data=Data("gaussian_mixture", options={"classes": 3, "dimensions": 4}),
            objective=Spec("final_layer_penalty", l2=5.0),
            optimizer=Spec("sgd", learning_rate=0.05),
            steps=30,
            seed=seed,
        )
        for seed in (0, 1)
    ]
    strategy = tf.distribute.get_strategy()
    found = training.train(Penalized(), made, lambda one: {}, strategy)
    # Glorot's initial values have squares of 3.4 in the mean, and cross-entropy makes them larger.
    assert all(0.0 < outcome.values["squares"] < 0.1 for outcome in found)
