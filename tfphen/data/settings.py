"""Checks the settings of a data source or corruption against its function."""

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

from tfphen.core.errors import UsageError, nearest


def checked_settings(
    function: Callable[..., Any],
    settings: Mapping[str, Any],
    what: str,
    given: Collection[str] = (),
) -> dict[str, Any]:
    """Returns `settings` as keyword arguments of `function`, or raises an error that names the
    wrong one.

    Args:
        function: Its keyword-only parameters are the allowed settings.
        settings: The user's settings by name.
        what: Description of their owner, for the message, such as `"dataset 'digits'"`.
        given: Keyword-only parameters that are not settings, since the caller supplies them.

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
