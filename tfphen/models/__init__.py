"""Functional builders of Keras models: `(input_shape, num_classes, *, settings) -> keras.Model`.

Models give logits. In each, the layer `"features"` holds what the last layer reads; the last layer
is `"logits"` (`"readout"` in `random_fourier_features`). Building one touches no global generator.
"""

from collections.abc import Callable

import keras

from tfphen.errors import UsageError, nearest
from tfphen.models.convolutional import convnet, lenet5, mnist1d_cnn
from tfphen.models.dense_models import linear, mlp, random_fourier_features
from tfphen.models.residual import resnet18

Builder = Callable[..., keras.Model]

MODELS: dict[str, Builder] = {
    "convnet": convnet,
    "lenet5": lenet5,
    "linear": linear,
    "mlp": mlp,
    "mnist1d_cnn": mnist1d_cnn,
    "random_fourier_features": random_fourier_features,
    "resnet18": resnet18,
}

__all__ = ["MODELS", "Builder", "get", *MODELS]


def get(name: str) -> Builder:
    """Returns the builder of this name.

    Raises:
        UsageError: There is none.
    """
    if name not in MODELS:
        raise UsageError(
            f"Unknown model {name!r}.{nearest(name, MODELS)} Allowed: {', '.join(MODELS)}"
        )
    return MODELS[name]
