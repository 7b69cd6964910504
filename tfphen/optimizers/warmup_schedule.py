"""Base class of the schedules: peak rate, warm-up, and lengths in steps or epochs."""

from typing import Any

import keras
from keras import ops

import tfphen.optimizers.schedule_factors as schedule_factors
from tfphen.core import checks
from tfphen.core.types import Tensor, TensorLike


class WarmupSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """The product of a peak rate, a warm-up and a factor defined by the subclass.

    Args:
        learning_rate: The peak rate, at least 0.
        warmup: Length of the warm-up in steps, or in epochs where `steps_per_epoch` is given.
        warmup_start: As in `schedule_factors.warmup_factor`.
        steps_per_epoch: Updates per epoch, or None.
        per_epoch: Whether the rate changes only when an epoch begins.
        name: Name of the schedule.
        **settings: Settings of the subclass, which become attributes, and entries of the
            configuration.
    """

    def __init__(
        self,
        learning_rate: float,
        warmup: float,
        warmup_start: float | None,
        steps_per_epoch: float | None,
        per_epoch: bool,
        name: str,
        **settings: Any,
    ) -> None:
        super().__init__()
        self.learning_rate = checks.number("learning_rate", learning_rate, 0)
        if steps_per_epoch is not None:
            number = checks.number("steps_per_epoch", steps_per_epoch, 1)
            if number != int(number):
                raise ValueError(
                    "`steps_per_epoch` must be an integer. "
                    f"Received: steps_per_epoch={steps_per_epoch!r}"
                )
            steps_per_epoch = int(number)
        if per_epoch and steps_per_epoch is None:
            raise ValueError(
                "`per_epoch` needs `steps_per_epoch`: a schedule in steps knows no epochs. "
                f"Received: per_epoch={per_epoch}, steps_per_epoch=None"
            )
        self.warmup = checks.number("warmup", warmup, 0)
        if warmup_start is not None:
            warmup_start = checks.number("warmup_start", warmup_start, 0, 1)
        self.warmup_start = warmup_start
        self.steps_per_epoch = steps_per_epoch
        self.per_epoch = bool(per_epoch)
        self.name = name
        self._settings = tuple(settings)
        for key, value in settings.items():
            setattr(self, key, value)

    def in_steps(self, length: float) -> float:
        """A length of the user's, in epochs or in steps, in steps."""
        return length * (self.steps_per_epoch or 1)

    def __call__(self, step: TensorLike) -> Tensor:
        step = ops.cast(ops.convert_to_tensor(step), "float32")
        unit = 1.0
        if self.per_epoch:
            unit = float(self.in_steps(1))
            # Half a step keeps the rounding of the quotient away from whole numbers.
            step = ops.floor((step + 0.5) / unit) * unit
        warm = schedule_factors.warmup_factor(
            step, self.in_steps(self.warmup), self.warmup_start, unit
        )
        rate = self.learning_rate * warm * self.factor(step)
        return ops.cast(rate, keras.config.floatx())

    def factor(self, step: TensorLike) -> Tensor:
        """Returns the factor on the rate at `step`, without the warm-up's."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        return {
            "learning_rate": self.learning_rate,
            **{key: getattr(self, key) for key in self._settings},
            "warmup": self.warmup,
            "warmup_start": self.warmup_start,
            "steps_per_epoch": self.steps_per_epoch,
            "per_epoch": self.per_epoch,
            "name": self.name,
        }
