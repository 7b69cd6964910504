"""Settings of the losses for noisy labels, for the suite over every export."""

import numpy as np

MATRIX = [[0.7, 0.3, 0.0], [0.0, 0.8, 0.2], [0.1, 0.0, 0.9]]
WRONG_MATRICES = [
    ({"transition_matrix": [[0.5, 0.5]]}, "transition_matrix"),
    ({"transition_matrix": [[0.5, 0.6], [0.5, 0.5]]}, "transition_matrix"),
    ({"transition_matrix": [[1.1, -0.1], [0.0, 1.0]]}, "transition_matrix"),
    ({"transition_matrix": [[float("nan"), 1.0], [0.0, 1.0]]}, "transition_matrix"),
    ({"transition_matrix": [[1.0, 0.0], [1.0]]}, "transition_matrix"),
    ({"transition_matrix": [[1.0]]}, "transition_matrix"),  # a class too few
    ({"transition_matrix": [[1.0, 0.0], [0.0, 1.0]]}, "transition_matrix"),
]
BETA = [
    ({"beta": 1.5}, "beta"),
    ({"beta": -0.5}, "beta"),
    ({"beta": float("nan")}, "beta"),
    ({"beta": None}, "beta"),
]

LOSSES = {
    "ForwardCorrectedCrossentropy": {
        "function": "forward_corrected_crossentropy",
        "settings": {"transition_matrix": MATRIX},
        "wrong": WRONG_MATRICES,
    },
    "BackwardCorrectedCrossentropy": {
        "function": "backward_corrected_crossentropy",
        "settings": {"transition_matrix": MATRIX, "clip": False},
        "wrong": [
            *WRONG_MATRICES,
            ({"transition_matrix": [[1 / 3] * 3] * 3}, "transition_matrix"),
        ],
    },
    "BootstrapSoftCrossentropy": {
        "function": "bootstrap_soft_crossentropy",
        "settings": {"beta": 0.6},
        "wrong": BETA,
    },
    "BootstrapHardCrossentropy": {
        "function": "bootstrap_hard_crossentropy",
        "settings": {"beta": 0.7},
        "wrong": BETA,
    },
    "UnhingedLoss": {"function": "unhinged_loss", "settings": {}, "wrong": []},
    "SigmoidLoss": {"function": "sigmoid_loss", "settings": {}, "wrong": []},
    "RampLoss": {"function": "ramp_loss", "settings": {}, "wrong": []},
    "SavageLoss": {"function": "savage_loss", "settings": {}, "wrong": []},
}

# Tested in tests/losses/test_noise_estimation.py.
FUNCTIONS = {
    "estimate_transition_matrix": {
        "arguments": lambda generator: (generator.dirichlet(np.ones(3), 50),),
        "wrong": [((np.eye(3),), {"percentile": 200.0}, "percentile")],
    }
}
