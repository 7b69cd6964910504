"""Imports TensorFlow without its startup messages."""

import contextlib
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator

from tfphen.core import references


def import_tensorflow() -> None:
    """Imports TensorFlow and Keras without their startup messages.

    To see them, set `-W` for Python's warnings and `TF_CPP_MIN_LOG_LEVEL` below 3 for TensorFlow's
    messages.
    """
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") != "3":
        references.module("keras")
        return
    for name in ("tensorflow", "absl"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with _no_native_messages():
        references.module("keras")


@contextlib.contextmanager
def _no_native_messages() -> Iterator[None]:
    """Drops output to the file descriptor of standard error, unless an error is raised.

    Until absl's logging is initialized during the import, TensorFlow's C++ code logs to that
    descriptor at any level.
    """
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # Standard error is closed.
        yield
        return
    with tempfile.TemporaryFile() as dropped:
        os.dup2(dropped.fileno(), 2)
        try:
            yield
        except Exception:
            os.dup2(kept, 2)
            dropped.seek(0)
            os.write(2, dropped.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
