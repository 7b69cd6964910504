"""Functional builders of Keras models: `(input_shape, num_classes, *, settings) -> keras.Model`.

Models give logits. In each, the layer `"features"` holds what the last layer reads; the last layer
is `"logits"` (`"readout"` in `random_fourier_features`). Building one touches no global generator.
"""

from collections.abc import Callable

import keras

from tfphen.core.errors import UsageError, nearest
from tfphen.models.convolutional import convnet, lenet5, mnist1d_cnn
from tfphen.models.dense_models import lenet_300_100, linear, mlp, random_fourier_features
from tfphen.models.densenet import densenet
from tfphen.models.recurrent import lstm
from tfphen.models.residual import preact_resnet, resnet18, resnet_cifar
from tfphen.models.square_mlp import square_mlp
from tfphen.models.transformer import transformer
from tfphen.models.vgg import lottery_convnet, vgg
from tfphen.models.wide_resnet import wide_resnet

Builder = Callable[..., keras.Model]

MODELS: dict[str, Builder] = {
    "convnet": convnet,
    "densenet": densenet,
    "lenet5": lenet5,
    "lenet_300_100": lenet_300_100,
    "linear": linear,
    "lottery_convnet": lottery_convnet,
    "lstm": lstm,
    "mlp": mlp,
    "mnist1d_cnn": mnist1d_cnn,
    "preact_resnet": preact_resnet,
    "random_fourier_features": random_fourier_features,
    "resnet18": resnet18,
    "resnet_cifar": resnet_cifar,
    "square_mlp": square_mlp,
    "transformer": transformer,
    "vgg": vgg,
    "wide_resnet": wide_resnet,
}

__all__ = ["MODELS", "Builder", "get", *MODELS]


def get(name: str) -> Builder:
    """Returns the builder of this name.

    Raises:
        UsageError: It has none.
    """
    if name not in MODELS:
        raise UsageError(
            f"Unknown model {name!r}.{nearest(name, MODELS)} Allowed: {', '.join(MODELS)}"
        )
    return MODELS[name]
