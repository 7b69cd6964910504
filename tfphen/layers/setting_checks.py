"""Checks of layer settings, with errors that name the argument, and seeds that follow from one."""

import math

import keras
import numpy as np


def require(holds, name, value, rule):
    """Returns `value`, or raises a ValueError that names the argument and the rule."""
    if not holds:
        raise ValueError(f"`{name}` {rule}. Received: {name}={value!r}")
    return value


def is_number(value, above=-math.inf) -> bool:
    """Whether this is a finite number above a bound."""
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    return bool(number and above < value < math.inf)


def positive(name, value) -> float:
    """Returns a finite number above 0, or raises ValueError."""
    return float(require(is_number(value, 0), name, value, "is a finite number above 0"))


def whole(name, value, least=1) -> int:
    """Returns an integer of at least `least`, or raises ValueError."""
    holds = isinstance(value, (int, np.integer)) and is_number(value, least - 1)
    return int(require(holds, name, value, f"is an integer of at least {least}"))


def one_of(name, value, allowed) -> str:
    """Returns one of a few words, or raises ValueError."""
    return require(value in allowed, name, value, f"is one of {', '.join(allowed)}")


def seeded_initializer(initializer, seed: int):
    """Returns an initializer; one given by its name gets a seed that follows from `seed`."""
    made = keras.initializers.get(initializer)
    if isinstance(initializer, str) and "seed" in made.get_config():
        seed = int(np.random.SeedSequence([seed, 1]).generate_state(1)[0] % 2**31)
        made = type(made).from_config({**made.get_config(), "seed": seed})
    return made
