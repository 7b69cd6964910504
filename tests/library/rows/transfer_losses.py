"""Settings of the losses of the transfer comparison, for the suite over every export."""

LOSSES = {
    "LabelSmoothedCrossentropy": {
        "function": "label_smoothed_crossentropy",
        "settings": {"alpha": 0.2},
        "wrong": [
            ({"alpha": 1.0}, "alpha"),
            ({"alpha": -0.1}, "alpha"),
            ({"alpha": float("nan")}, "alpha"),
            ({"alpha": "much"}, "alpha"),
        ],
    },
    "LogitPenaltyCrossentropy": {
        "function": "logit_penalty_crossentropy",
        "settings": {"beta": 0.05},
        "wrong": [({"beta": -1.0}, "beta"), ({"beta": float("inf")}, "beta")],
    },
    "LogitNormalizedCrossentropy": {
        "function": "logit_normalized_crossentropy",
        "settings": {"temperature": 0.3},
        "wrong": [
            ({"temperature": 0.0}, "temperature"),
            ({"temperature": -1.0}, "temperature"),
            ({"temperature": float("nan")}, "temperature"),
        ],
    },
    "CosineSoftmaxCrossentropy": {
        "function": "cosine_softmax_crossentropy",
        "settings": {"temperature": 0.3},
        "wrong": [
            ({"temperature": 0.0}, "temperature"),
            ({"temperature": None}, "temperature"),
        ],
    },
    "SigmoidCrossentropy": {"function": "sigmoid_crossentropy", "settings": {}, "wrong": []},
    "SquaredErrorLoss": {
        "function": "squared_error_loss",
        "settings": {"kappa": 1.5, "target": 2.0, "scale": 0.5},
        "wrong": [
            ({"kappa": 0.0}, "kappa"),
            ({"target": -1.0}, "target"),
            ({"target": float("nan")}, "target"),
            ({"scale": float("inf")}, "scale"),
        ],
    },
}

# Tested in tests/losses/test_transfer_objectives.py and test_transfer_losses.py.
FUNCTIONS = {
    "normalized_logits": {
        "arguments": lambda generator: (generator.normal(size=(4, 3)).astype("float32"),),
    },
    "shifted_logits": {
        "arguments": lambda generator: (generator.normal(size=(4, 3)).astype("float32"),),
    },
    "transfer_objective": {},
}
