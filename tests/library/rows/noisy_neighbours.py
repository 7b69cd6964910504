"""Settings of the vote of clean neighbors for the generic suite."""

import numpy as np


def _examples(generator):
    clean = generator.integers(0, 3, 60)
    given = np.where(generator.random(60) < 0.3, generator.integers(0, 3, 60), clean)
    return generator.normal(size=(60, 4)) + 3 * np.eye(4)[clean], given, clean


METRICS = {
    "noisy_neighbours": {
        "arguments": _examples,
        "settings": {"num_neighbors": 3},
        "wrong": [
            ((np.eye(3), [0, 1], [0, 1, 2]), {}, "labels"),
            ((np.eye(3), [0, 1, 2], [0, 1]), {}, "clean_labels"),
            ((np.eye(3) * np.nan, [0, 1, 2], [0, 1, 2]), {}, "features"),
            ((np.eye(3), [0, 1, 1], [0, 1, 2]), {}, "num_neighbors"),
            ((np.eye(3), [0, 1, 1], [0, 1, 2]), {"num_neighbors": 0}, "num_neighbors"),
            ((np.eye(3), [0, 1, 1], [0, 1, 2]), {"distance": "city"}, "distance"),
        ],
    },
}
