"""The objectives of trials give, member by member, the losses of the library."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfphen import losses, models
from tfphen.core.errors import UsageError
from tfphen.data import transition_matrix
from tfphen.population import execution
from tfphen.population.optimizers import MemberOptimizer
from tfphen.population.population import Population
from tfphen.train import batches
from tfphen.train.loop import Trainer
from tfphen.train.loss_objectives import OBJECTIVES
from tfphen.train.objectives import Step
from tfphen.train.transfer_objectives import TRANSFER_OBJECTIVES

MATRICES = np.stack([transition_matrix("mnist_flips", rate, 10) for rate in (0.2, 0.6)])
FUNCTIONS = {
    "bootstrap_soft": losses.bootstrap_soft_crossentropy,
    "bootstrap_hard": losses.bootstrap_hard_crossentropy,
    "unhinged": losses.unhinged_loss,
    "sigmoid": losses.sigmoid_loss,
    "savage": losses.savage_loss,
    "ramp": losses.ramp_loss,
}


def step(**constants):
    generator = np.random.default_rng(0)
    outputs = generator.normal(size=(2, 9, 10)).astype("float32")
    labels = generator.integers(0, 10, (2, 9)).astype("int32")
    constants = {k: tf.constant(v, tf.float32) for k, v in constants.items()}
    return Step(None, tf.constant(labels), tf.constant(outputs), {}, {}, constants, 0, None)


def compare(objective, one, function):
    found = objective(one).numpy()
    expected = [np.asarray(function(m, one.labels[m], one.outputs[m])) for m in range(2)]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_every_objective_is_named():
    assert set(OBJECTIVES) == {
        "cross_entropy", "squared_error", "forward_correction", "backward_correction", *FUNCTIONS,
        "ldam", "vector_scaling", "poly_tailed", "softmax_binary_crossentropy",
        *TRANSFER_OBJECTIVES,
    }  # fmt: skip
    assert len(TRANSFER_OBJECTIVES) == 7


@pytest.mark.parametrize("name", FUNCTIONS)
def test_objectives_without_a_matrix(name):
    compare(OBJECTIVES[name](), step(), lambda m, y, z: FUNCTIONS[name](y, z))
    with pytest.raises(TypeError):
        OBJECTIVES[name](gamma=1.0)


def test_settings_of_bootstrap():
    for kind in ("soft", "hard"):
        function = FUNCTIONS[f"bootstrap_{kind}"]
        objective = OBJECTIVES[f"bootstrap_{kind}"](beta=0.3)
        compare(objective, step(), lambda m, y, z, f=function: f(y, z, beta=0.3))


@pytest.mark.parametrize("kind", ["forward", "backward"])
def test_each_member_has_its_own_matrix(kind):
    function = getattr(losses, f"{kind}_corrected_crossentropy")
    one = step(transition_matrix=MATRICES)
    make = OBJECTIVES[f"{kind}_correction"]
    compare(make(), one, lambda m, y, z: function(y, z, MATRICES[m]))
    turned = [tf.constant(m.T, tf.float32) for m in MATRICES]
    compare(make(transpose=True), one, lambda m, y, z: function(y, z, turned[m]))
    fixed = {"kind": "mnist_flips", "rate": 0.4}
    matrix = transition_matrix(num_classes=10, **fixed)
    compare(make(transition=fixed), step(), lambda m, y, z: function(y, z, matrix))


@pytest.mark.parametrize("kind", ["forward", "backward"])
@pytest.mark.parametrize("compiled", [True, False])
def test_matrices_that_are_arguments_of_the_program(kind, compiled):
    """A tracer's matrix has no value yet: its inverse is then part of the program."""
    one = step()

    @tf.function(jit_compile=compiled)
    def run(matrices):
        one.constants = {"transition_matrix": matrices}
        return OBJECTIVES[f"{kind}_correction"]()(one)

    known = OBJECTIVES[f"{kind}_correction"]()(step(transition_matrix=MATRICES))
    found = run(tf.constant(MATRICES, tf.float32))
    np.testing.assert_allclose(found, known, rtol=1e-4, atol=1e-4)


def test_errors():
    with pytest.raises(UsageError, match="needs a transition matrix"):
        OBJECTIVES["forward_correction"]()(step())
    with pytest.raises(UsageError, match="`kind` and a `rate`"):
        OBJECTIVES["forward_correction"](transition={"kind": "wrong"})(step())
    with pytest.raises(UsageError, match="condition number"):
        singular = np.stack([np.eye(10), np.full((10, 10), 0.1)])
        OBJECTIVES["backward_correction"]()(step(transition_matrix=singular))
    with pytest.raises(UsageError, match="number of training examples of each class"):
        OBJECTIVES["ldam"]()(step())


def train(name, matrices, xla, steps=8, **settings):
    classes = 2 if name == "poly_tailed" else 10
    model = models.mlp((6,), classes, hidden_units=(16,))
    members = Population(model, [0, 1])
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(40, 6)).astype("float32")
    labels = generator.integers(0, classes, (2, 40)).astype("int32")
    counts = [1 + np.bincount(one, minlength=classes) for one in labels]
    trainer = Trainer(
        members,
        batches.DeviceBatches(batches.DeviceDataset(inputs, labels), 20, batches.Streams([0, 1])),
        OBJECTIVES[name](**settings),
        MemberOptimizer(keras.optimizers.SGD(0.1), members),
        steps,
        constants={
            "transition_matrix": matrices.astype("float32"),
            "class_counts": np.asarray(counts, "float32"),
        },
        execution=execution.Execution(xla, False, "test"),
    )
    trainer.advance(steps)
    assert np.isfinite(trainer.losses).all()
    return members.values()


@pytest.mark.parametrize("name", sorted(OBJECTIVES))
def test_populations_train_alike_with_and_without_xla(name):
    # LDAM's own factor of 30 is for cosines; on logits without a bound it magnifies rounding. The
    # targets of 60 are for long trainings at small rates.
    gentle = {"ldam": {"scale": 1.0}, "transfer_squared_error": {"target": 1.0, "scale": 0.1}}
    settings = gentle.get(name, {})
    compiled, plain = (train(name, MATRICES, xla, **settings) for xla in (True, False))
    for one, other in zip(compiled, plain, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


@pytest.mark.parametrize("kind", ["forward", "backward"])
def test_without_noise_corrections_are_cross_entropy(kind):
    matrices = np.stack([np.eye(10), MATRICES[0]])
    plain = train("cross_entropy", matrices, True)
    corrected = train(f"{kind}_correction", matrices, True)
    for one, other in zip(plain, corrected, strict=True):
        np.testing.assert_allclose(one[0], other[0], atol=1e-5)
    assert max(np.abs(a[1] - b[1]).max() for a, b in zip(plain, corrected, strict=True)) > 1e-3
