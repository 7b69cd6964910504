"""Validation of arguments and settings, with one message format: name, rule, value received.

Errors are `UsageError`s, which are ValueErrors that the command line shows as a plain message.
"""

import math
import numbers
from collections.abc import Sequence
from typing import Any, TypeVar

from tfphen.core.errors import UsageError, nearest

Value = TypeVar("Value")


def require(holds: bool, name: str, value: Value, rule: str) -> Value:
    """Returns `value` if `holds`, else raises an error that states the rule.

    Raises:
        UsageError: `holds` is false.
    """
    if not holds:
        raise UsageError(f"`{name}` {rule}. Received: {name}={value!r}")
    return value


def is_number(value: Any, above: float = -math.inf) -> bool:
    """Whether `value` is a finite number above a bound. Booleans do not count as numbers."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return bool(real and math.isfinite(value) and value > above)


def number(
    name: str,
    value: Any,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    low_open: bool = False,
    high_open: bool = False,
) -> float:
    """Returns `value` as a finite `float`, or raises an error that states the bounds.

    Args:
        name: Name of the argument, for the message.
        value: A Python or NumPy number, or a concrete scalar tensor.
        low: Lower bound.
        high: Upper bound.
        low_open: Whether `low` itself is excluded.
        high_open: Whether `high` itself is excluded.

    Raises:
        UsageError: Not a number, not finite, or out of bounds.
    """
    try:
        found = math.nan if isinstance(value, (bool, str)) else float(value)
    except (TypeError, ValueError):
        found = math.nan
    above = found > low if low_open else found >= low
    below = found < high if high_open else found <= high
    if math.isfinite(low) and math.isfinite(high):
        bounds = f" in {'(' if low_open else '['}{low:g}, {high:g}{')' if high_open else ']'}"
    elif math.isfinite(low):
        bounds = f" {'above' if low_open else 'of at least'} {low:g}"
    elif math.isfinite(high):
        bounds = f" {'below' if high_open else 'of at most'} {high:g}"
    else:
        bounds = ""
    require(
        math.isfinite(found) and above and below, name, value, f"must be a finite number{bounds}"
    )
    return found


def positive(name: str, value: Any) -> float:
    """Returns a finite number above 0, see `number`."""
    return number(name, value, 0, low_open=True)


def whole(name: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """Returns `value` as an `int` in `[least, most]`, or raises an error that states the bounds.

    Raises:
        UsageError: Not an integer, or out of bounds.
    """
    bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
    integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    fits = integer and value >= least and (most is None or value <= most)
    return int(require(fits, name, value, f"must be an integer {bounds}"))


def wholes(**values: Any) -> None:
    """Checks that sizes, such as numbers of units, channels or blocks, are positive integers.

    Raises:
        UsageError: One of them is not.
    """
    for name, value in values.items():
        whole(name, value)


def boolean(name: str, value: Any) -> bool:
    """Returns `value` if it is True or False.

    Raises:
        UsageError: It is neither.
    """
    return bool(require(isinstance(value, bool), name, value, "must be true or false"))


def one_of(name: str, value: Value, allowed: Sequence[Any]) -> Value:
    """Returns `value` if it equals an allowed value of the same type.

    Raises:
        UsageError: It is not allowed.
    """
    words = ", ".join(map(repr, allowed))
    close = nearest(str(value), [word for word in allowed if isinstance(word, str)])
    known = any(type(value) is type(word) and value == word for word in allowed)
    if not known:
        raise UsageError(f"`{name}` must be one of {words}.{close} Received: {name}={value!r}")
    return value
