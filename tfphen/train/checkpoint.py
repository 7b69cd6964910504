"""The state of an unfinished training on disk: arrays only, written atomically."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfphen.core.errors import TfphenError


def save(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes `arrays` to `path` atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.part")
    try:
        with open(temporary, "wb") as file:
            np.savez(file, **dict[str, Any](arrays))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise TfphenError(f"The checkpoint {path} cannot be written: {error.strerror}") from None


def load(path: Path) -> dict[str, np.ndarray] | None:
    """Returns the arrays that `save` wrote, or None if there is no file.

    Raises:
        TfphenError: The file is damaged.
    """
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise TfphenError(
            f"The checkpoint {path} is damaged ({error}). Delete it to start this training again."
        ) from None
