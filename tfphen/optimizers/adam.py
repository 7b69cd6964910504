"""Adam with PyTorch's placement of epsilon."""

import math
from typing import Any

import keras
from keras import ops

from tfphen.core import checks
from tfphen.core.types import Tensor
from tfphen.optimizers.coupled_weight_decay import CoupledWeightDecay, dense_gradient
from tfphen.optimizers.settings import PLACEMENTS, LearningRate, checked_learning_rate


def _bias_correction(beta: float, step: Tensor) -> Tensor:
    """1 - beta^step. The plain form loses four digits at the first step of beta = 0.999."""
    if beta == 0:
        return ops.ones_like(step)
    return -ops.expm1(step * math.log(beta))


class _AdamRule(keras.optimizers.Adam):
    """Keras's Adam, with epsilon before the correction of bias or after it."""

    epsilon_placement = "keras"

    def update_step(self, gradient: Tensor, variable: Tensor, learning_rate: Tensor) -> None:
        if self.epsilon_placement == "keras":
            super().update_step(gradient, variable, learning_rate)
            return
        gradient = dense_gradient(gradient, variable)
        step = ops.cast(self.iterations + 1, "float32")
        index = self._get_variable_index(variable)
        first, second = self._momentums[index], self._velocities[index]
        mean = ops.add(first, ops.multiply(ops.subtract(gradient, first), 1 - self.beta_1))
        square = ops.add(
            second,
            ops.multiply(ops.subtract(ops.square(gradient), second), 1 - self.beta_2),
        )
        self.assign(first, mean)
        self.assign(second, square)
        if self.amsgrad:
            largest = self._velocity_hats[index]
            square = ops.maximum(largest, square)
            self.assign(largest, square)
        correction = ops.sqrt(_bias_correction(self.beta_2, step))
        rate = ops.cast(learning_rate, "float32") / _bias_correction(self.beta_1, step)
        root = ops.divide(ops.sqrt(square), ops.cast(correction, variable.dtype))
        moved = ops.divide(mean, ops.add(root, self.epsilon))
        self.assign_sub(variable, ops.multiply(moved, ops.cast(rate, variable.dtype)))


@keras.saving.register_keras_serializable(package="tfphen")
class Adam(CoupledWeightDecay, _AdamRule):
    """Adam with PyTorch's epsilon and coupled weight decay.

    With gradient g, decay λ, weight w, rate r and step t counted from 1:

        d = g + λ w
        m ← β₁ m + (1 - β₁) d,   v ← β₂ v + (1 - β₂) d²
        w ← w - r m / (1 - β₁ᵗ) / (sqrt(v / (1 - β₂ᵗ)) + ε)

    Keras's own Adam adds ε to sqrt(v) before v is corrected, which is as if ε were larger by 1 /
    sqrt(1 - β₂ᵗ): 32 times at the first step with β₂ = 0.999, 3.2 times after 100. Where gradients
    shrink to the size of ε (grokking, slingshots, anything trained to near-zero loss) this changes
    the outcome, and so does the default of ε, 1e-7 in Keras.

    Args:
        learning_rate: r, a number, a `keras.optimizers.schedules.LearningRateSchedule`, or a
            callable without arguments.
        beta_1: β₁, in [0, 1).
        beta_2: β₂, in [0, 1).
        epsilon: ε, at least 0.
        amsgrad: Whether to use the largest v so far.
        coupled_weight_decay: λ, at least 0, or None for none.
        epsilon_placement: `"torch"`: after bias correction, as above and as in Algorithm 1 of the
            paper. `"keras"`: before it, the paper's ε̂.
        weight_decay: Decoupled, w ← w - r λ w before the step, as in AdamW; not together with
            `coupled_weight_decay`.
        name: Name of the optimizer.
        **kwargs: `clipnorm`, `clipvalue`, `global_clipnorm`, `use_ema`, `ema_momentum`,
            `ema_overwrite_frequency`, `loss_scale_factor` and `gradient_accumulation_steps` of
            `keras.optimizers.Optimizer`.

    Raises:
        ValueError: A setting out of range, or both decays.

    Example:

    >>> optimizer = Adam(0.1, epsilon=1.0)
    >>> weight = keras.Variable([1.0])
    >>> optimizer.apply([keras.ops.ones(1)], [weight])
    >>> float(weight[0])  # 1 - 0.1 * 1 / (1 + 1)
    0.949999...

    When not to use:
        To reproduce a Keras recipe: `epsilon_placement="keras"` and `epsilon=1e-7`
        give `keras.optimizers.Adam`. For weight decay in new work: prefer the decoupled form.

    Migration:
        `torch.optim.Adam(params, lr=r, betas=(b1, b2), eps=e, weight_decay=d)` is
        `Adam(r, b1, b2, e, coupled_weight_decay=d)`; `torch.optim.AdamW` with the same arguments
        is `Adam(r, b1, b2, e, weight_decay=d)`, and its default decay is 0.01.

    Reference:
        D. Kingma, J. Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, arXiv 1412.6980.
    """

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        amsgrad: bool = False,
        coupled_weight_decay: float | None = None,
        epsilon_placement: str = "torch",
        weight_decay: float | None = None,
        name: str = "Adam",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate=checked_learning_rate(learning_rate),
            beta_1=checks.number("beta_1", beta_1, 0, 1, high_open=True),
            beta_2=checks.number("beta_2", beta_2, 0, 1, high_open=True),
            epsilon=checks.number("epsilon", epsilon, 0),
            amsgrad=amsgrad,
            coupled_weight_decay=coupled_weight_decay,
            weight_decay=weight_decay,
            name=name,
            **kwargs,
        )
        self.epsilon_placement = checks.one_of("epsilon_placement", epsilon_placement, PLACEMENTS)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon_placement": self.epsilon_placement}
