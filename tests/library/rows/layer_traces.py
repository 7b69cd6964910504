"""Settings of the traces of all layers for the generic suite."""

import numpy as np

INPUTS = np.array([[1.0, 0.5], [0.0, 2.0], [0.5, 1.0]])
KERNELS = [np.array([[1.0, -1.0], [0.5, 2.0]]), np.array([[1.0, -1.0, 0.0], [0.0, 0.5, 2.0]])]
BIASES = [np.array([0.1, 0.2]), np.array([0.1, 0.0, -0.1])]


def perceptron(generator):
    """Returns inputs `[30, 5]` and the kernels and biases of a perceptron 5-6-3."""
    kernels = [generator.normal(size=(5, 6)), generator.normal(size=(6, 3))]
    biases = [generator.normal(size=6), generator.normal(size=3)]
    return generator.normal(size=(30, 5)), kernels, biases


METRICS = {
    "perceptron_hessian_traces": {
        "arguments": perceptron,
        "settings": {},
        "wrong": [
            ((INPUTS, KERNELS[::-1], BIASES), {}, "kernels"),
            ((INPUTS, KERNELS, BIASES[:1]), {}, "biases"),
            ((INPUTS[:0], KERNELS, BIASES), {}, "inputs"),
            ((INPUTS * np.nan, KERNELS, BIASES), {}, "inputs"),
            ((INPUTS, KERNELS, BIASES), {"rows_at_once": 0}, "rows_at_once"),
        ],
    },
}
