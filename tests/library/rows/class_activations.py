"""Settings of the measures of class activations for the generic suite."""

import numpy as np


def _relu(generator, *shape):
    return np.maximum(generator.normal(size=shape), 0.0)


METRICS = {
    "class_activation_cosine": {
        "arguments": lambda generator: (
            _relu(generator, 40, 6),
            _relu(generator, 40, 4),
            generator.integers(0, 3, 40),
            3,
        ),
        "wrong": [
            ((np.eye(3), np.eye(2), [0, 1, 2], 3), {}, "outputs"),
            ((np.full((3, 3), np.inf), np.eye(3), [0, 1, 2], 3), {}, "inputs"),
            ((np.eye(3), np.eye(3), [0, 1, 3], 3), {}, "predictions"),
            ((np.eye(3), np.eye(3), [0, 0, 0], 1), {}, "num_classes"),
        ],
    },
    "activation_complexity": {
        "arguments": lambda generator: (_relu(generator, 90, 6), generator.integers(0, 3, 90)),
        "settings": {"block_size": 8, "num_draws": 10},
        "wrong": [
            ((np.eye(3), [0, 1]), {}, "predictions"),
            ((np.eye(3), [0, 1, 2]), {"block_size": 0}, "block_size"),
            ((np.eye(3), [0, 1, 2]), {"num_draws": 1.5}, "num_draws"),
        ],
    },
    "unit_selectivity": {
        "arguments": lambda generator: (
            _relu(generator, 40, 6),
            generator.integers(0, 3, 40),
            3,
        ),
        "wrong": [
            ((np.eye(3), [0, 1, -1], 3), {}, "predictions"),
            ((np.ones(3), [0, 1, 2], 3), {}, "features"),
        ],
    },
}
