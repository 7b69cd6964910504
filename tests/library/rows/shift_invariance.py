"""Settings of the circular convolution and of the margin that shift invariance leaves."""

import numpy as np

from tfphen.layers.circular_convolution import CircularConvolution

LAYERS = {
    "CircularConvolution": {
        "make": lambda: CircularConvolution(3, 2, activation="relu", seed=1),
        "input_shape": (5, 4, 2),
        "wrong": [
            (lambda: CircularConvolution(0), "filters"),
            (lambda: CircularConvolution(2, 0), "kernel_size"),
            (lambda: CircularConvolution(2, method="matrix"), "method"),
        ],
    },
}

METRICS = {
    "dc_margin": {
        "arguments": lambda generator: (
            generator.normal(size=(4, 6)),
            generator.normal(size=(5, 6)) + 9.0,
        ),
        "wrong": [((np.zeros((2, 3)), np.zeros((2, 4))), {}, "shapes")],
    },
}
