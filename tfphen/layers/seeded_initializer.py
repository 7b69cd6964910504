"""Initializers with a seed derived from the layer's own."""

from typing import Any

import keras
import numpy as np


def seeded_initializer(initializer: Any, seed: int) -> keras.initializers.Initializer:
    """Returns an initializer; one given by its name gets a seed derived from `seed`."""
    made = keras.initializers.get(initializer)
    if isinstance(initializer, str) and "seed" in made.get_config():
        seed = int(np.random.SeedSequence([seed, 1]).generate_state(1)[0] % 2**31)
        made = type(made).from_config({**made.get_config(), "seed": seed})
    return made
