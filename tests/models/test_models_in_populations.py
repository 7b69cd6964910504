"""A population of each model computes what its members compute alone, and trains."""

import keras
import numpy as np
import pytest

from tfphen.models.convolutional import convnet, lenet5, mnist1d_cnn
from tfphen.models.dense_models import lenet_300_100, linear, mlp, random_fourier_features
from tfphen.models.densenet import densenet
from tfphen.models.recurrent import lstm
from tfphen.models.residual import preact_resnet, resnet18, resnet_cifar
from tfphen.models.transformer import transformer
from tfphen.models.vgg import lottery_convnet, vgg
from tfphen.models.wide_resnet import wide_resnet
from tfphen.population import execution
from tfphen.population.optimizers import MemberOptimizer
from tfphen.population.population import Population
from tfphen.train import batches, objectives
from tfphen.train.loop import Trainer

TOKENS = {"vocabulary_size": 7, "dropout": 0.1}
CASES = {
    "convnet": (convnet, (8, 8, 3), {"width": 2}),
    "densenet": (densenet, (8, 8, 3), {"depth": 10, "growth_rate": 2, "dropout": 0.1}),
    "lenet5": (lenet5, (12, 12), {"pooling": "average"}),
    "lenet_300_100": (lenet_300_100, (6,), {}),
    "linear": (linear, (4, 3), {"l2": 0.01}),
    "lottery_convnet": (lottery_convnet, (4, 4), {"depth": 2, "width": 2, "dropout": 0.1}),
    "lstm": (lstm, (3,), {"depth": 1, "width": 3, "embedding_width": 2, **TOKENS}),
    "mlp": (mlp, (12,), {"hidden_units": (8, 8), "skip": True, "dropout": 0.5}),
    "mnist1d_cnn": (mnist1d_cnn, (40,), {"channels": 3}),
    "preact_resnet": (preact_resnet, (8, 8, 3), {"width": 2, "final_norm": True}),
    "random_fourier_features": (random_fourier_features, (5,), {"num_features": 7}),
    "resnet18": (resnet18, (8, 8, 1), {"width": 2}),
    "resnet_cifar": (resnet_cifar, (8, 8), {"depth": 8, "width": 2}),
    "transformer": (transformer, (5,), {"depth": 1, "width": 8, "heads": 2, **TOKENS}),
    "vgg": (vgg, (32, 32, 3), {"depth": 11, "width": 2, "last_pooling": "average"}),
    "wide_resnet": (
        wide_resnet,
        (8, 8, 3),
        {"depth": 10, "width": 1, "dropout": 0.1, "variant": "uncertainty_baselines"},
    ),
}
# By the marker's measure, or made of the same layers as another case.
SLOW = (
    *("densenet", "lenet_300_100", "lottery_convnet", "preact_resnet", "resnet18"),
    *("resnet_cifar", "vgg", "wide_resnet"),
)
# Matrix products alone: the rest runs without XLA, which is slow for convolutions on a CPU.
COMPILED = ("lenet_300_100", "linear", "lstm", "mlp", "mnist1d_cnn", "random_fourier_features")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in CASES]
)
def test_members_are_ordinary_models_and_learn(name):
    build, shape, settings = CASES[name]
    model = build(shape, 4, defaults="torch", **settings)
    members = Population(model, [3, 5])
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(24, *shape)).astype("float32")
    if "vocabulary_size" in settings:
        inputs = generator.integers(0, 7, (24, *shape)).astype("int32")
    labels = generator.integers(0, 4, (2, 24)).astype("int32")
    trainer = Trainer(
        members,
        batches.DeviceBatches(batches.DeviceDataset(inputs, labels), None, batches.Streams([3, 5])),
        objectives.cross_entropy,
        MemberOptimizer(keras.optimizers.Adam(0.01), members),
        6,
        execution=execution.Execution(name in COMPILED, False, "test"),
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
