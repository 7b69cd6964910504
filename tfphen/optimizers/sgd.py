"""SGD with PyTorch's form of momentum."""

from typing import Any

import keras
from keras import ops

from tfphen.core import checks
from tfphen.core.types import Tensor
from tfphen.optimizers.coupled_weight_decay import CoupledWeightDecay, dense_gradient
from tfphen.optimizers.settings import PLACEMENTS, LearningRate, checked_learning_rate


class _SGDRule(keras.optimizers.SGD):
    """Keras's SGD, with the rate inside its momentum or applied to it afterwards."""

    learning_rate_placement = "keras"

    def update_step(self, gradient: Tensor, variable: Tensor, learning_rate: Tensor) -> None:
        if self.momentum == 0 or self.learning_rate_placement == "keras":
            super().update_step(gradient, variable, learning_rate)
            return
        gradient = dense_gradient(gradient, variable)
        buffer = self.momentums[self._get_variable_index(variable)]
        momentum = ops.cast(self.momentum, variable.dtype)
        moved = ops.add(ops.multiply(buffer, momentum), gradient)
        self.assign(buffer, moved)
        if self.nesterov:
            moved = ops.add(gradient, ops.multiply(moved, momentum))
        rate = ops.cast(learning_rate, variable.dtype)
        self.assign_sub(variable, ops.multiply(moved, rate))


@keras.saving.register_keras_serializable(package="tfphen")
class SGD(CoupledWeightDecay, _SGDRule):
    """Stochastic gradient descent with momentum and coupled weight decay: PyTorch's rule.

    With weight w, gradient g, decay λ, momentum μ, rate r and a buffer b that starts at 0:

        d = g + λ w
        b ← μ b + d
        w ← w - r b              (with Nesterov: w ← w - r (d + μ b))

    Keras's own SGD keeps r b in its buffer, and its `weight_decay` does not pass through it. The
    former matters for some steps after the rate changes, the latter throughout: with μ = 0.9 a
    coupled decay is about ten times as strong.

    Args:
        learning_rate: r, a number, a `keras.optimizers.schedules.LearningRateSchedule`, or a
            callable without arguments.
        momentum: μ, in [0, 1].
        nesterov: Whether to look ahead; needs a momentum.
        coupled_weight_decay: λ, at least 0, or None for none.
        learning_rate_placement: `"torch"`: the buffer holds gradients, as above. `"keras"`: it
            holds steps, b ← μ b - r d, and a new rate acts on new gradients only.
        weight_decay: Keras's, decoupled; not together with `coupled_weight_decay`.
        name: Name of the optimizer.
        **kwargs: `clipnorm`, `clipvalue`, `global_clipnorm`, `use_ema`, `ema_momentum`,
            `ema_overwrite_frequency`, `loss_scale_factor` and `gradient_accumulation_steps` of
            `keras.optimizers.Optimizer`.

    Raises:
        ValueError: A setting out of range, Nesterov without momentum, or both decays.

    Example:

    >>> optimizer = SGD(0.1, momentum=0.9, coupled_weight_decay=5e-4)
    >>> weight = keras.Variable([1.0])
    >>> for _ in range(2):
    ...     optimizer.apply([keras.ops.ones(1)], [weight])
    >>> float(weight[0])  # 1 - 0.1 * 1.0005, then - 0.1 * (0.9 * 1.0005 + 1.00045)
    0.70986...

    When not to use:
        To resume training that was started with Keras's SGD: its buffer has another meaning, unless
        `learning_rate_placement="keras"`. Where a Keras recipe with `weight_decay` is to be
        repeated: pass that argument on.

    Migration:
        `torch.optim.SGD(params, lr=r, momentum=m, nesterov=n, weight_decay=d)` is
        `SGD(r, momentum=m, nesterov=n, coupled_weight_decay=d)`; `dampening` is not offered, it is
        0. Parameter groups without decay become `exclude_from_weight_decay`.
        `keras.optimizers.SGD(...)` is this with the same arguments and
        `learning_rate_placement="keras"`.

    Reference:
        I. Sutskever et al., "On the importance of initialization and momentum in deep learning",
        ICML 2013 (both forms of momentum).
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        coupled_weight_decay: float | None = None,
        learning_rate_placement: str = "torch",
        weight_decay: float | None = None,
        name: str = "SGD",
        **kwargs: Any,
    ) -> None:
        momentum = checks.number("momentum", momentum, 0, 1)
        if nesterov and momentum == 0:
            raise ValueError(
                "`nesterov` needs a `momentum` above 0. "
                f"Received: nesterov={nesterov}, momentum={momentum}"
            )
        super().__init__(
            learning_rate=checked_learning_rate(learning_rate),
            momentum=momentum,
            nesterov=nesterov,
            coupled_weight_decay=coupled_weight_decay,
            weight_decay=weight_decay,
            name=name,
            **kwargs,
        )
        self.learning_rate_placement = checks.one_of(
            "learning_rate_placement", learning_rate_placement, PLACEMENTS
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "learning_rate_placement": self.learning_rate_placement}
