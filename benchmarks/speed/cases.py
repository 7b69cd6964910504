"""The three trainings that the speed benchmark times, as every runner reads them."""

import dataclasses

import numpy as np

BATCH = 100
EXAMPLES = 4000
CLASSES = 10
LEARNING_RATE = 1e-3


@dataclasses.dataclass(frozen=True)
class Case:
    """One model and how it is timed.

    Attributes:
        title: What the table calls it.
        shape: Shape of one example.
        members: Models that a population, and JAX's `vmap`, train together.
        steps: Updates of one round, a multiple of the 40 of an epoch, by runner.
        goals: Largest wanted ratio of our time to a peer's.
    """

    title: str
    shape: tuple[int, ...]
    members: int
    steps: dict[str, int]
    goals: dict[str, float]


CASES = {
    "mlp": Case(
        "MLP 40-100-100-10",
        (40,),
        32,
        {"ours": 520, "alone": 1000, "fit": 200, "torch": 400, "jax": 160},
        {"fit": 1 / 25, "jax": 0.7},
    ),
    "cnn": Case(
        "1-D CNN, 3 × 25 channels",
        (40, 1),
        8,
        {"ours": 240, "alone": 480, "fit": 120, "torch": 160, "jax": 120},
        {"fit": 1 / 10, "jax": 0.8},
    ),
    "lenet": Case(
        "LeNet-5 on 28 × 28",
        (28, 28, 1),
        2,
        {"ours": 80, "alone": 80, "fit": 80, "torch": 40, "jax": 40},
        {"fit": 1 / 2, "torch": 0.6},
    ),
}


def data(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Returns inputs `[examples, ...]`, float32, and labels `[examples]`, int32: noise will do."""
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(EXAMPLES, *case.shape)).astype("float32")
    return inputs, generator.integers(0, CLASSES, EXAMPLES).astype("int32")


def keras_model(name: str):
    """Returns the model of a case as an ordinary Keras model that gives logits."""
    import keras

    layers = keras.layers
    if name == "mlp":
        stack = [layers.Dense(100, "relu"), layers.Dense(100, "relu")]
    elif name == "cnn":
        stack = [
            layers.Conv1D(25, size, strides=2, padding="same", activation="relu")
            for size in (5, 3, 3)
        ]
        stack.append(layers.Flatten())
    else:
        stack = [
            layers.Conv2D(6, 5, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(16, 5, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(120, "relu"),
            layers.Dense(84, "relu"),
        ]
    return keras.Sequential([keras.Input(CASES[name].shape), *stack, layers.Dense(CLASSES)])


def step_flops(model) -> int:
    """Returns the floating-point operations of one update of a Keras model on one batch.

    Counted are the products of dense layers and convolutions: forward, gradient of the weights,
    and gradient of the inputs except in the first layer, a multiplication and an addition each.
    """
    total, first = 0, True
    for layer in model.layers:
        if not layer.weights:
            continue
        positions = int(np.prod(layer.output.shape[1:-1]))
        products = positions * int(np.prod(layer.kernel.shape))
        total += 2 * BATCH * products * (2 if first else 3)
        first = False
    return total
