"""Finds what a `Spec` names, and calls it with the settings of the `Spec`."""

import inspect
from collections.abc import Callable, Mapping

from tfphen.errors import UsageError, nearest
from tfphen.trial import Spec


def look_up(kind: str, table: Mapping[str, Callable], spec: Spec) -> Callable:
    """Returns `table[spec.name]`.

    Raises:
        UsageError: There is no such name; the message says which `kind` of thing was meant.
    """
    if spec.name not in table:
        raise UsageError(
            f"Unknown {kind} {spec.name!r}.{nearest(spec.name, table)} "
            f"Allowed: {', '.join(sorted(table))}"
        )
    return table[spec.name]


def call(kind: str, function: Callable, spec: Spec, *arguments):
    """Returns `function(*arguments, **spec.settings)`.

    Raises:
        UsageError: The function does not take these settings.
    """
    signature = inspect.signature(function)
    try:
        signature.bind(*arguments, **spec.settings)
    except TypeError as error:
        allowed = ", ".join(list(signature.parameters)[len(arguments) :]) or "none"
        raise UsageError(
            f"Wrong settings of {kind} {spec.name!r}: {error}. Received: "
            f"{', '.join(spec.settings) or 'none'}. Allowed: {allowed}"
        ) from None
    return function(*arguments, **spec.settings)
