"""Checks of the settings that a user gives to a data source or a corruption."""

import inspect
import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

from tfphen.core.errors import UsageError, nearest


def checked_settings(
    function: Callable[..., Any],
    settings: Mapping[str, Any],
    what: str,
    given: Collection[str] = (),
) -> dict[str, Any]:
    """Returns `settings` as keyword arguments of `function`, or says which one is wrong.

    Args:
        function: Its keyword-only parameters are the allowed settings.
        settings: The user's settings by name.
        what: What they belong to, for the message, such as `"data set 'digits'"`.
        given: Keyword-only parameters that are no settings, since the caller gives them.

    Raises:
        UsageError: A setting that `function` does not have, or a required one that is missing.
    """
    parameters = {
        name: parameter
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and name not in given
    }
    allowed = ", ".join(parameters) or "none"
    for key in settings:
        if key not in parameters:
            raise UsageError(
                f"{what} has no setting {key!r}.{nearest(key, parameters)} Allowed: {allowed}."
            )
    for name, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and name not in settings:
            raise UsageError(f"{what} needs the setting {name!r}. Received: {dict(settings)}")
    return dict(settings)


def whole_number(name: str, value: Any, low: int, high: int | None = None) -> int:
    """Returns `value` as an `int` in `[low, high]`, or raises a `UsageError` that names it."""
    text = f"at least {low}" if high is None else f"from {low} to {high}"
    whole = hasattr(value, "__index__") and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):
        raise UsageError(f"`{name}` must be a whole number {text}. Received: {name}={value!r}")
    return int(value)


def real_number(name: str, value: Any, low: float, high: float = math.inf) -> float:
    """Returns `value` as a finite `float` in `[low, high]`, or raises a `UsageError`."""
    text = f"at least {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
    try:
        number = math.nan if isinstance(value, (bool, str)) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and low <= number <= high):
        raise UsageError(f"`{name}` must be a number {text}. Received: {name}={value!r}")
    return number


def boolean(name: str, value: Any) -> bool:
    """Returns `value` if it is True or False, or raises a `UsageError`."""
    if not isinstance(value, bool):
        raise UsageError(f"`{name}` is true or false. Received: {name}={value!r}")
    return value


def choice(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    """Returns `value` if it is one of `allowed`, or raises a `UsageError`."""
    if value not in allowed:
        options = ", ".join(repr(option) for option in allowed)
        hint = nearest(value, allowed) if isinstance(value, str) else ""
        raise UsageError(f"`{name}` is one of {options}.{hint} Received: {name}={value!r}")
    return value
