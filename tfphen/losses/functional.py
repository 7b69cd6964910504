"""Base of the Keras classes of pure loss functions: settings and nothing else."""

from collections.abc import Callable
from typing import Any, ClassVar

import keras
import numpy as np

from tfphen.core.types import Tensor, TensorLike


def _plain(value: Any) -> Any:
    """A setting as JSON has it: lists for arrays and tuples, Python's own numbers."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


class FunctionalLoss(keras.losses.Loss):
    """A Keras loss that calls a pure function with the settings it was made with.

    A subclass names the function, and has a constructor that states and checks its arguments:

    >>> def distance(y_true, y_pred, power):
    ...     return keras.ops.abs(keras.ops.subtract(y_pred, y_true)) ** power
    >>> class Power(FunctionalLoss):
    ...     function = staticmethod(distance)
    ...
    ...     def __init__(self, power=2.0, reduction="sum", name="power", dtype=None):
    ...         super().__init__({"power": power}, reduction, name, dtype)
    >>> loss = Power(3.0)
    >>> loss.power, float(loss([1.0], [3.0]))
    (3.0, 8.0)

    Args:
        settings: Keyword arguments of the function by name. Each becomes an attribute, and an entry
            of the configuration, where arrays are lists.
        reduction: As in `keras.losses.Loss`.
        name: Name of the loss.
        dtype: Dtype of the computations.
    """

    function: ClassVar[Callable[..., Tensor]]

    def __init__(
        self,
        settings: dict[str, Any],
        reduction: str | None,
        name: str,
        dtype: str | keras.DTypePolicy | None,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self._names = tuple(settings)
        for key, value in settings.items():
            setattr(self, key, value)

    @property
    def settings(self) -> dict[str, Any]:
        """The keyword arguments of the function, as they are now."""
        return {key: getattr(self, key) for key in self._names}

    def call(self, y_true: TensorLike, y_pred: TensorLike) -> Tensor:
        return type(self).function(y_true, y_pred, **self.settings)

    def get_config(self) -> dict[str, Any]:
        settings = {key: _plain(value) for key, value in self.settings.items()}
        # Keras leaves the dtype out, and a loss in float64 would come back in float32.
        return {**super().get_config(), **settings, "dtype": self.dtype}
