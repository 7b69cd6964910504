"""Measures taken at several steps of one training."""

from collections.abc import Mapping, Sequence

import numpy as np

from tfphen.measures.basic import Measure
from tfphen.measures.trained import Trained


class Curve:
    """Values of measures at the steps of a trial's curve.

    Args:
        measures: The measures to take at each point.
        points: The steps, the last one included.
    """

    def __init__(self, measures: Sequence[Measure], points: Sequence[int | None]):
        self.points, self._measures = list(points), tuple(measures)
        self._values: dict[str, list[np.ndarray]] = {m.name: [] for m in self._measures}

    def __bool__(self) -> bool:
        return bool(self._measures)

    @property
    def num_measured(self) -> int:
        """Number of points measured so far."""
        return len(next(iter(self._values.values()))) if self._values else 0

    def measure(self, view: Trained) -> None:
        """Takes all measures of the members in their present state."""
        for measure in self._measures:
            self._values[measure.name].append(measure(view))

    def repeat(self) -> None:
        """Repeats the last values, for members that have not changed since."""
        for values in self._values.values():
            values.append(values[-1])

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns the curves of all members, `[members, points, ...]` by name, and their steps."""
        if not self._values:
            return {}
        arrays = {f"curve_{name}": np.stack(parts, 1) for name, parts in self._values.items()}
        members = len(next(iter(arrays.values())))
        return arrays | {"curve_step": np.tile(np.asarray(self.points), (members, 1))}

    def state(self) -> dict[str, np.ndarray]:
        """Returns the curves so far, for a checkpoint."""
        return {f"curve_{name}": np.asarray(values) for name, values in self._values.items()}

    def restore(self, saved: Mapping[str, np.ndarray]) -> None:
        """Restores the curves from `state`."""
        for name in self._values:
            self._values[name] = list(saved[f"curve_{name}"])
