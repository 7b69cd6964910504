"""Checks of settings, with one form of message: the argument, what is allowed, what was received.

What they raise is a ValueError, and a `UsageError`, so that the command line shows it as a message.
"""

import math
import numbers
from collections.abc import Sequence

from tfphen.core.errors import UsageError, nearest


def require(holds: bool, name: str, value, rule: str):
    """Returns `value`, or says which rule about the argument it breaks.

    Raises:
        UsageError: `holds` is false.
    """
    if not holds:
        raise UsageError(f"`{name}` {rule}. Received: {name}={value!r}")
    return value


def is_number(value, above: float = -math.inf) -> bool:
    """Whether this is a finite number above a bound; True and False are none."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return bool(real and math.isfinite(value) and value > above)


def number(
    name: str,
    value,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    low_open: bool = False,
    high_open: bool = False,
) -> float:
    """Returns a setting as a finite `float`, or says what is allowed.

    Args:
        name: Of the argument, for the message.
        value: A real number: of Python, NumPy, or a scalar tensor that has a value.
        low: Its lower bound.
        high: Its upper bound.
        low_open: Whether `low` itself is refused.
        high_open: Whether `high` itself is refused.

    Raises:
        UsageError: No number, not finite, or outside the bounds.
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


def positive(name: str, value) -> float:
    """Returns a finite number above 0, see `number`."""
    return number(name, value, 0, low_open=True)


def whole(name: str, value, least: int = 1) -> int:
    """Returns an integer of at least `least`.

    Raises:
        UsageError: It is none, or smaller.
    """
    integer = isinstance(value, numbers.Integral) and is_number(value, least - 1)
    return int(require(integer, name, value, f"must be an integer of at least {least}"))


def wholes(**values: int) -> None:
    """Refuses numbers of units, channels, blocks and the like that are no positive integers.

    Raises:
        UsageError: One is not.
    """
    for name, value in values.items():
        whole(name, value)


def one_of(name: str, value, allowed: Sequence):
    """Returns `value` if it is one of a few.

    Raises:
        UsageError: It is none of them.
    """
    words = ", ".join(map(repr, allowed))
    close = nearest(str(value), [word for word in allowed if isinstance(word, str)])
    known = any(type(value) is type(word) and value == word for word in allowed)
    if not known:
        raise UsageError(f"`{name}` must be one of {words}.{close} Received: {name}={value!r}")
    return value
