"""Settings of the density-ratio estimators for the generic suite."""

import numpy as np

POINTS = np.linspace(-1.0, 1.0, 9)
PAIR = POINTS, POINTS + 0.5
NOT_FINITE = np.array([0.0, np.nan])
TWO = np.eye(2)


def samples(generator):
    return generator.normal(size=(40, 2)), generator.normal(0.3, 1.0, size=(30, 2))


FUNCTIONS = {
    "median_gamma": {
        "arguments": lambda generator: (generator.normal(size=(20, 2)),),
        "wrong": [((NOT_FINITE,), {}, "sample"), ((np.zeros(5),), {}, "sample")],
    },
    "ulsif": {
        "wrong": [
            (PAIR, {"regularization": 0.0}, "regularization"),
            (PAIR, {"gamma": -1.0}, "gamma"),
            ((POINTS, TWO), {}, "train"),
        ]
    },
    "rulsif": {
        "wrong": [
            ((*PAIR, 1.5), {}, "alpha"),
            ((NOT_FINITE, POINTS, 0.5), {}, "train"),
            ((*PAIR, 0.5), {"centers": 0}, "centers"),
        ]
    },
    "kliep": {
        "wrong": [
            (PAIR, {"tolerance": 0.0}, "tolerance"),
            (PAIR, {"iterations": 0}, "iterations"),
            ((POINTS, NOT_FINITE), {}, "test"),
        ]
    },
    "kernel_mean_matching": {
        "arguments": samples,
        "wrong": [
            (PAIR, {"bound": 0.0}, "bound"),
            (PAIR, {"ridge": -1.0}, "ridge"),
            ((NOT_FINITE, POINTS), {}, "train"),
        ],
    },
    "box_quadratic_programme": {
        "arguments": lambda generator: (TWO, generator.uniform(size=2), 1.0),
        "wrong": [
            ((TWO, np.ones(3), 1.0), {}, "linear"),
            ((TWO, np.ones(2), 0.0), {}, "upper"),
            ((TWO, np.ones(2), 1.0), {"total": (3.0, 4.0)}, "total"),
        ],
    },
    "one_step": {
        "wrong": [
            ((POINTS, POINTS[:3], POINTS), {}, "targets"),
            ((POINTS, POINTS, POINTS), {"scale": 0.0}, "scale"),
        ]
    },
    "risk_bound": {
        "arguments": lambda generator: tuple(generator.uniform(size=(3, 20))),
        "wrong": [((np.array([0.5, 2.0]), np.ones(2), np.ones(2)), {}, "losses")],
    },
    "flattened_weights": {
        "arguments": lambda generator: (generator.uniform(size=9), 0.5),
        "wrong": [(([-1.0, 1.0], 0.5), {}, "weights"), (([1.0], 2.0), {}, "power")],
    },
    "relative_weights": {
        "arguments": lambda generator: (generator.uniform(size=9), 0.5),
        "wrong": [(([np.inf], 0.5), {}, "weights"), (([1.0], -0.1), {}, "alpha")],
    },
}
