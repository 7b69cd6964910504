"""Settings of spectral normalization and of the norm of a convolution."""

import keras
import numpy as np

from tfphen.layers.spectral_normalization import SpectralNormalization


def _start(seed=1):
    return keras.initializers.GlorotUniform(seed=seed)


LAYERS = {
    "SpectralNormalization": {
        "make": lambda: SpectralNormalization(
            keras.layers.Conv2D(
                4, 3, strides=2, padding="same", kernel_initializer=_start(), name="inner"
            ),
            norm_multiplier=0.8,
            seed=1,
        ),
        "input_shape": (6, 5, 3),
        "wrong": [
            (lambda: SpectralNormalization(keras.layers.Dense(3), norm_multiplier=0), "norm_mul"),
            (lambda: SpectralNormalization(keras.layers.Dense(3), power_iterations=0), "power_it"),
            (lambda: SpectralNormalization(keras.layers.Conv2D(3, 3), input_size=0), "input_size"),
            (lambda: SpectralNormalization(keras.layers.Dense(3), input_size=4), "input_size"),
            (lambda: SpectralNormalization(keras.layers.Embedding(3, 2)), "layer"),
            (lambda: SpectralNormalization(keras.layers.Dense(3), seed=-1), "seed"),
        ],
    },
}


def _kernel(generator):
    return (generator.normal(size=(3, 3, 2, 4)).astype("float32"), 6)


FUNCTIONS = {
    "convolution_norm": {
        "arguments": _kernel,
        "settings": {"padding": "same", "strides": 2},
        "wrong": [
            ((np.zeros((3, 4), "float32"), 6), {}, "kernel"),
            ((np.zeros((3, 3, 1, 1), "float32"), 2), {}, "input_size"),
        ],
    }
}
