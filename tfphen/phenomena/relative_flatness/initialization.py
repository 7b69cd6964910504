"""Initial weights of the untrained networks."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def scaled(
    drawn: Mapping[str, np.ndarray], inputs: Any, generator: np.random.Generator, factor: float
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Returns the weights drawn from the trial's seed times a factor, and no masks."""
    return {path: factor * weight for path, weight in drawn.items()}, {}
