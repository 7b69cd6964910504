"""Settings of the optimizers and schedules, for the suite over every export."""

NAN = float("nan")

OPTIMIZERS = {
    "SGD": {
        "settings": {
            "learning_rate": 0.05,
            "momentum": 0.9,
            "nesterov": True,
            "coupled_weight_decay": 0.01,
        },
        "wrong": [
            ({"learning_rate": -0.1}, "learning_rate"),
            ({"learning_rate": NAN}, "learning_rate"),
            ({"learning_rate": "fast"}, "learning_rate"),
            ({"momentum": 1.5}, "momentum"),
            ({"momentum": NAN}, "momentum"),
            ({"momentum": 0.0}, "nesterov"),
            ({"coupled_weight_decay": -1e-4}, "coupled_weight_decay"),
            ({"coupled_weight_decay": 1e-4, "weight_decay": 1e-4}, "weight_decay"),
            ({"learning_rate_placement": "jax"}, "learning_rate_placement"),
        ],
    },
    "Adam": {
        "settings": {"learning_rate": 0.01, "coupled_weight_decay": 0.01, "epsilon": 1e-6},
        "wrong": [
            ({"learning_rate": NAN}, "learning_rate"),
            ({"beta_1": 1.0}, "beta_1"),
            ({"beta_2": -0.1}, "beta_2"),
            ({"epsilon": -1e-8}, "epsilon"),
            ({"coupled_weight_decay": NAN}, "coupled_weight_decay"),
            ({"epsilon_placement": "after"}, "epsilon_placement"),
        ],
    },
}

_RATE = [({"learning_rate": -1.0}, "learning_rate"), ({"learning_rate": NAN}, "learning_rate")]
_EPOCHS = [
    ({"steps_per_epoch": 0}, "steps_per_epoch"),
    ({"steps_per_epoch": 2.5}, "steps_per_epoch"),
]
_WARMUP = [
    ({"warmup": -1}, "warmup"),
    ({"warmup_start": 2.0}, "warmup_start"),
    ({"per_epoch": True, "steps_per_epoch": None}, "per_epoch"),
]

# Settings of a wrong schedule are put over those of a right one.
SCHEDULES = {
    "StepDecay": {
        "settings": {
            "learning_rate": 0.1,
            "boundaries": [6, 8],
            "factors": [0.1, 0.01],
            "warmup": 2,
            "steps_per_epoch": 3,
            "per_epoch": True,
        },
        "wrong": [
            *_RATE,
            *_EPOCHS,
            *_WARMUP,
            ({"boundaries": [8, 6]}, "boundaries"),
            ({"boundaries": 8}, "boundaries"),
            ({"boundaries": [8]}, "factors"),
            ({"factors": [0.1, NAN]}, "factors"),
        ],
    },
    "LinearDecay": {
        "settings": {"learning_rate": 0.1, "length": 20, "warmup": 4, "warmup_start": 0.01},
        "wrong": [
            *_RATE,
            *_EPOCHS,
            *_WARMUP,
            ({"length": 4}, "length"),
            ({"final_factor": -0.5}, "final_factor"),
        ],
    },
    "CosineDecay": {
        "settings": {"learning_rate": 0.1, "length": 20, "warmup": 4, "final_factor": 0.1},
        "wrong": [*_RATE, *_EPOCHS, *_WARMUP, ({"length": NAN}, "length")],
    },
    "InverseSquareRootDecay": {
        "settings": {"learning_rate": 0.1, "period": 4, "staircase": False, "warmup": 4},
        "wrong": [*_RATE, *_EPOCHS, *_WARMUP, ({"period": 0}, "period")],
    },
    "OneCycle": {
        "settings": {"learning_rate": 0.1, "length": 5, "steps_per_epoch": 4},
        "wrong": [
            *_RATE,
            *_EPOCHS,
            ({"length": 0.5}, "length"),
            ({"rise": 1.0}, "rise"),
            ({"initial_divisor": 0.0}, "initial_divisor"),
            ({"final_divisor": NAN}, "final_divisor"),
            ({"anneal": "step"}, "anneal"),
        ],
    },
}

# Mixed into optimizers of the user's own: tests/optimizers/test_coupled_weight_decay.py.
FUNCTIONS = {"CoupledWeightDecay": {}}
