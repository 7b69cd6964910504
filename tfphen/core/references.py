"""Lazy references to code by name.

A reference is the string `"package.module:name"`, as in an entry point. Registries hold references
to modules that are expensive to import, so that declaring a phenomenon imports no backend. Inside a
phenomenon's package write `f"{__package__}.measures:name"`.
"""

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from tfphen.core.errors import UsageError, nearest
from tfphen.core.trial import Spec


def module(name: str) -> Any:
    """Imports a module on demand, such as a backend."""
    return importlib.import_module(name)


def load(reference: Any) -> Any:
    """Resolves a reference. Anything but a string is returned unchanged.

    Args:
        reference: `"package.module:name"`, or the object itself.

    Raises:
        UsageError: The string has no colon, or the module has no such name.
    """
    if not isinstance(reference, str):
        return reference
    place, colon, name = reference.partition(":")
    if not (place and colon and name):
        raise UsageError(f'A reference is "package.module:name". Received: {reference!r}')
    try:
        loaded = module(place)
    except ModuleNotFoundError as error:
        # A module that the named one imports is another matter, and keeps its traceback.
        if error.name is None or not f"{place}.".startswith(f"{error.name}."):
            raise
        raise UsageError(f"There is no module {error.name!r}. Received: {reference!r}") from error
    if not hasattr(loaded, name):
        raise UsageError(
            f"There is no {name!r} in {place}.{nearest(name, vars(loaded))} Received: {reference!r}"
        )
    return getattr(loaded, name)


def look_up(kind: str, table: Mapping[str, Callable[..., Any] | str | None], spec: Spec) -> Any:
    """Resolves `table[spec.name]`.

    Raises:
        UsageError: The name is unknown; the message calls it a `kind`.
    """
    if spec.name not in table:
        raise UsageError(
            f"Unknown {kind} {spec.name!r}.{nearest(spec.name, table)} "
            f"Allowed: {', '.join(sorted(table))}"
        )
    return load(table[spec.name])


def bind(
    kind: str, function: Callable[..., Any], spec: Spec, num_arguments: int = 0
) -> Callable[..., Any]:
    """Returns `function` with the settings of `spec`, which then takes its first arguments.

    Args:
        kind: The kind of object, for messages.
        function: Takes positional arguments and settings.
        spec: Its name and settings.
        num_arguments: Number of positional arguments that the result takes.

    Raises:
        UsageError: The function does not take these settings.
    """
    signature = inspect.signature(function)
    try:
        signature.bind(*[None] * num_arguments, **spec.settings)
    except TypeError as error:
        allowed = ", ".join(list(signature.parameters)[num_arguments:]) or "none"
        raise UsageError(
            f"Wrong settings of {kind} {spec.name!r}: {error}. Received: "
            f"{', '.join(spec.settings) or 'none'}. Allowed: {allowed}"
        ) from None
    return functools.partial(function, **spec.settings)


def call(kind: str, function: Callable[..., Any], spec: Spec, *arguments: Any) -> Any:
    """Returns `function(*arguments, **spec.settings)`.

    Raises:
        UsageError: The function does not take these settings.
    """
    return bind(kind, function, spec, len(arguments))(*arguments)
