"""Lazy references to code by name.

A reference is the string `"package.module:name"`, as in an entry point. Registries hold references
to modules that are expensive to import, so that declaring a phenomenon imports no backend. Inside a
phenomenon's package write `f"{__package__}.measures:name"`.
"""

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from tfphen.core.errors import UsageError, nearest
from tfphen.core.trial import Spec


def load(reference: Any) -> Any:
    """Resolves a reference. Anything but a string is returned unchanged.

    Args:
        reference: `"package.module:name"`, or the object itself.

    Raises:
        UsageError: The string has no colon, or the module has no such name.
    """
    if not isinstance(reference, str):
        return reference
    module, colon, name = reference.partition(":")
    if not (module and colon and name):
        raise UsageError(f'A reference is "package.module:name". Received: {reference!r}')
    loaded = importlib.import_module(module)
    if not hasattr(loaded, name):
        raise UsageError(
            f"There is no {name!r} in {module}.{nearest(name, vars(loaded))} "
            f"Received: {reference!r}"
        )
    return getattr(loaded, name)


def look_up(kind: str, table: Mapping[str, Callable[..., Any] | str], spec: Spec) -> Any:
    """Resolves `table[spec.name]`.

    Raises:
        UsageError: There is no such name; the message calls it a `kind`.
    """
    if spec.name not in table:
        raise UsageError(
            f"Unknown {kind} {spec.name!r}.{nearest(spec.name, table)} "
            f"Allowed: {', '.join(sorted(table))}"
        )
    return load(table[spec.name])


def call(kind: str, function: Callable[..., Any], spec: Spec, *arguments: Any) -> Any:
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
