"""Errors meant for users: the command line prints their message without a traceback."""

import difflib
from collections.abc import Iterable


class TfphenError(Exception):
    """Something failed that the user can act on. Exit code 1 at the command line."""

    exit_code = 1
    # Lets the error pass through tracing unchanged instead of being wrapped by AutoGraph.
    ag_pass_through = True


class UsageError(TfphenError, ValueError):
    """A wrong id, size, key or value. Exit code 2 at the command line."""

    exit_code = 2


class MissingData(TfphenError):
    """A dataset is not on this machine."""


class CorruptRecord(TfphenError):
    """A record on disk is damaged."""


def nearest(word: str, options: Iterable[str]) -> str:
    """Returns " Did you mean 'x'?" for the option closest to `word`, or an empty string."""
    found = difflib.get_close_matches(str(word), list(options), n=1, cutoff=0.6)
    return f" Did you mean {found[0]!r}?" if found else ""
