"""The message of an internal error."""

from tfphen import __version__


def bug(error: Exception) -> str:
    """Returns the one-line message of an internal error."""
    text = next(iter(str(error).splitlines()), "")
    return (
        f"Error: this is a bug in tfphen {__version__}: {type(error).__name__}: {text} "
        "(TFPHEN_DEBUG=1 shows the traceback)"
    )
