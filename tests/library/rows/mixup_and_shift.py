"""Settings of manifold mixup, the cosine head, circular padding, blur pooling and their metrics."""

import keras
import numpy as np

from tfphen.layers.blur_pool import BlurPool2D
from tfphen.layers.circular_padding import CircularPadding2D
from tfphen.layers.manifold_mixup import ManifoldMixup
from tfphen.layers.normalized_dense import NormalizedDense


def _model():
    x = inputs = keras.Input((6,), name="inputs")
    for number, units in enumerate((8, 8, 3)):
        start = keras.initializers.GlorotUniform(seed=number)
        activation = "relu" if number < 2 else None
        x = keras.layers.Dense(units, activation, kernel_initializer=start)(x)
    return keras.Model(inputs, x)


def _pixel(x):
    x = np.asarray(x)
    return np.stack([x[:, 0, 0, 0], np.zeros(len(x))], -1)


def _flat(x):
    return np.zeros(len(x))


LAYERS = {
    "ManifoldMixup": {
        "make": lambda: ManifoldMixup(_model(), seed=1),
        "input_shape": (6,),
        "stochastic": True,
        # Each replica permutes its own part of the batch, so only training without mixing can be
        # equal on one and two.
        "replicas": lambda: ManifoldMixup(_model(), alpha=0.0),
        "wrong": [
            (lambda: ManifoldMixup(_model(), alpha=float("inf")), "alpha"),
            (lambda: ManifoldMixup(_model(), layers=["nothing"]), "layers"),
            (lambda: ManifoldMixup(keras.layers.Dense(3)), "model"),
        ],
    },
    "NormalizedDense": {
        "make": lambda: NormalizedDense(4, scale=5.0, use_bias=True, seed=1),
        "input_shape": (8,),
        "wrong": [
            (lambda: NormalizedDense(0), "units"),
            (lambda: NormalizedDense(3, scale=-1.0), "scale"),
        ],
    },
    "CircularPadding2D": {
        "make": lambda: CircularPadding2D(((1, 2), (3, 0))),
        "input_shape": (5, 4, 2),
        "wrong": [(lambda: CircularPadding2D(-1), "padding")],
    },
    "BlurPool2D": {
        "make": lambda: BlurPool2D(3, 2),
        "input_shape": (6, 5, 2),
        "wrong": [
            (lambda: BlurPool2D(0), "pool_size"),
            (lambda: BlurPool2D(3, 0), "strides"),
            (lambda: BlurPool2D(3, padding="same"), "padding"),
        ],
    },
}

LOSSES = {
    "SoftmaxBinaryCrossentropy": {
        "function": "softmax_binary_crossentropy",
        "settings": {},
        "wrong": [],
    },
}


def _normal(generator, *shape):
    return generator.normal(size=shape).astype("float32")


FUNCTIONS = {
    "blur_pool_2d": {
        "arguments": lambda generator: (_normal(generator, 2, 5, 4, 3),),
        "wrong": [((np.zeros((2, 5, 4)),), {}, "inputs")],
    },
    "circular_padding_2d": {
        "arguments": lambda generator: (_normal(generator, 2, 5, 4, 3), ((1, 2), (7, 0))),
        "wrong": [((np.zeros((2, 5, 4, 3)), -1), {}, "padding")],
    },
    "mix": {
        "arguments": lambda generator: (_normal(generator, 4, 3), 0.3, generator.permutation(4)),
        "wrong": [((np.zeros((2, 1)), [0.3, 0.4], [1, 0]), {}, "coefficient")],
    },
    "normalized_dense": {
        "arguments": lambda generator: (
            _normal(generator, 4, 3),
            _normal(generator, 3, 2),
            _normal(generator, 2),
        ),
        "settings": {"scale": 20.0},
    },
}

METRICS = {
    "class_flattening": {
        "arguments": lambda generator: (
            generator.normal(size=(40, 5)),
            generator.integers(0, 3, 40),
        ),
        "wrong": [
            ((np.zeros((4, 2)), [0, 0, 1, 1]), {}, "features"),
            ((np.eye(4), [0, 0, 1]), {}, "labels"),
        ],
    },
    "prediction_consistency": {
        "arguments": lambda generator: (
            generator.normal(size=(40, 3)),
            generator.normal(size=(40, 3)),
        ),
        "wrong": [(([[1.0, 2.0]], [[1.0, 2.0, 3.0]]), {}, "other_y_pred")],
    },
    "shift_consistency": {
        "arguments": lambda generator: (_pixel, generator.normal(size=(20, 6, 5, 1))),
        "settings": {"num_shifts": 2},
        "wrong": [
            ((_pixel, np.zeros((2, 4, 4, 1))), {"num_shifts": 0}, "num_shifts"),
            ((_pixel, np.zeros((2, 4, 4, 1))), {"axes": (1, 1)}, "axes"),
            ((_flat, np.zeros((2, 4, 4, 1))), {}, "predict"),
        ],
    },
}
