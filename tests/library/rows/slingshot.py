"""Settings of what is measured on networks that learn modular arithmetic."""

import numpy as np


def _cycles(generator, count=3, length=1500):
    phase = np.arange(count * length) % length
    noise = 0.05 * generator.normal(size=len(phase))
    loss = 10.0 ** (np.where(phase < 1000, -5 - phase / 1000, -5.0) + noise)
    loss[1000::length] = 0.1
    return loss, 10 + np.arange(len(phase)) // length + np.minimum(phase, 1000) / 1000


_FLAT = [0.1, 0.1, 0.1]

METRICS = {
    "grokking_times": {
        "arguments": lambda generator: (
            np.arange(5),
            np.linspace(0.0, 1.0, 5) + 0.01 * generator.random((2, 5)),
            np.linspace(0.0, 1.0, 5) ** 4 * np.ones((2, 1)),
        ),
        "settings": {},
        "wrong": [
            (([0, 1], [0.1, 1.0], [0.1]), {}, "shapes (2,), (1,)"),
            (([0, 0], [0.1, 1.0], [0.1, 1.0]), {}, "`steps` must increase"),
            (([0, 1], [0.1, float("nan")], [0.1, 1.0]), {}, "train_accuracy"),
            (([0, 1], [0.1, 1.0], [0.1, 1.0]), {"level": 0}, "level=0"),
        ],
    },
    "inverse_participation_ratio": {
        "arguments": lambda generator: (generator.normal(size=(4, 20)),),
        "settings": {},
        "wrong": [
            (([[1.0], [2.0]],), {}, "rows"),
            (([1.0, float("nan")],), {}, "rows"),
        ],
    },
    "slingshots": {
        "arguments": _cycles,
        "settings": {},
        "wrong": [
            ((_FLAT, [1.0, 2.0]), {}, "norm.shape=(2,)"),
            (([_FLAT], [_FLAT]), {}, "loss.shape=(1, 3)"),
            (([0.1, -0.1, 0.1], _FLAT), {}, "`loss` must not be negative"),
            (([0.1, float("nan"), 0.1], _FLAT), {}, "loss"),
            ((_FLAT, _FLAT), {"window": 1}, "window=1"),
            ((_FLAT, _FLAT), {"window": 10, "growth_lag": 10}, "growth_lag=10"),
            ((_FLAT, _FLAT), {"rise": 0}, "rise=0"),
            ((_FLAT, _FLAT), {"low_loss": 0}, "low_loss=0"),
            ((_FLAT, _FLAT), {"settle": -1}, "settle=-1"),
            ((_FLAT, _FLAT), {"floor": 0}, "floor=0"),
        ],
    },
}
