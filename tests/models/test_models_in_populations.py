"""A population of each model computes what its members compute alone, and trains."""

import keras
import numpy as np
import pytest

from tfphen import models
from tfphen.train import batches, execution, objectives
from tfphen.train.loop import Trainer
from tfphen.train.optimizers import MemberOptimizer
from tfphen.train.population import Population

CASES = {
    "convnet": ((8, 8, 3), {"width": 2}),
    "lenet5": ((12, 12), {"pooling": "average"}),
    "linear": ((4, 3), {"l2": 0.01}),
    "mlp": ((12,), {"hidden_units": (8, 8), "skip": True, "dropout": 0.5}),
    "mnist1d_cnn": ((40,), {"channels": 3}),
    "random_fourier_features": ((5,), {"num_features": 7}),
    "resnet18": ((8, 8, 1), {"width": 2}),
}


@pytest.mark.parametrize(
    "name", [n if n != "resnet18" else pytest.param(n, marks=pytest.mark.slow) for n in CASES]
)
def test_members_are_ordinary_models_and_learn(name):
    shape, settings = CASES[name]
    model = models.get(name)(shape, 4, defaults="torch", **settings)
    members = Population(model, [3, 5])
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(24, *shape)).astype("float32")
    labels = generator.integers(0, 4, (2, 24)).astype("int32")
    trainer = Trainer(
        members,
        batches.Resident(inputs, labels),
        objectives.cross_entropy,
        MemberOptimizer(keras.optimizers.Adam(0.01), members),
        6,
        None,
        [3, 5],
        how=execution.Execution(name not in ("resnet18", "convnet", "lenet5"), False, "test"),
    )
    before = members.values()
    trainer.advance(6)
    frozen = {template.path for template, _ in members.frozen}
    for template, old, new in zip(model.weights, before, members.values(), strict=True):
        still = template.path in frozen and "moving" not in template.path
        assert np.array_equal(old, new) == still, template.path
    assert (trainer.losses[-1, :, 0] < trainer.losses[0, :, 0] + 0.2).all()
    outputs, hidden = trainer.predict(inputs, layers=("features",))
    for index in range(2):
        alone = members.member(index)
        np.testing.assert_allclose(outputs[index], np.asarray(alone(inputs)), atol=2e-4)
        features = keras.Model(alone.input, alone.get_layer("features").output)(inputs)
        np.testing.assert_allclose(hidden["features"][index], np.asarray(features), atol=2e-4)
