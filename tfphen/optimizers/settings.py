"""Argument checks shared by optimizers and schedules."""

import numbers
from collections.abc import Callable
from typing import Any, TypeAlias

from tfphen.core import checks

PLACEMENTS = ("torch", "keras")
# A number, a schedule, or a function without arguments.
LearningRate: TypeAlias = float | Callable[..., Any]


def checked_learning_rate(learning_rate: Any) -> Any:
    """Checks a rate: returns a number as a float of at least 0, a schedule or callable unchanged.

    A serialized schedule, a dict, is left to Keras.
    """
    if isinstance(learning_rate, (numbers.Real, str)) or learning_rate is None:
        return checks.number("learning_rate", learning_rate, 0)
    return learning_rate
