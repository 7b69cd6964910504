"""Coupled (L2) weight decay for any Keras optimizer."""

from typing import Any

from keras import ops

from tfphen.core import checks
from tfphen.core.types import Tensor


def dense_gradient(gradient: Tensor, variable: Tensor) -> Tensor:
    """Returns a gradient in the dtype of its variable, with zeros in rows that were not looked
    up."""
    return ops.cast(ops.convert_to_tensor(gradient, sparse=False), variable.dtype)


# To type checkers a mixin is what it is mixed into.
_Optimizer: Any = object


class CoupledWeightDecay(_Optimizer):
    """Adds `coupled_weight_decay` times the weight to each gradient, as PyTorch's optimizers do.

    With weight w, gradient g of the loss and decay λ the optimizer sees

        g + λ w

    before its momentum or its moments, and after the gradient was clipped. That is the gradient of
    the loss plus λ / 2 ||w||². Keras's `weight_decay` is different: it subtracts rate · λ · w from
    the weight and bypasses the optimizer's rule. Under SGD with momentum μ the coupled decay
    shrinks weights about 1 / (1 - μ) times as fast; under Adam it is divided by the size of the
    gradient.

    This is a mixin: put it before a Keras optimizer among the bases. `tfphen.optimizers.SGD` and
        `Adam` have
    it already.

    Args:
        *args: Arguments of the optimizer.
        coupled_weight_decay: λ, at least 0, or None for none.
        **kwargs: Keyword arguments of the optimizer.

    Raises:
        ValueError: `coupled_weight_decay` is negative or not finite, or is set together with
            Keras's own `weight_decay`.

    Example:

    >>> import keras
    >>> class RMSprop(CoupledWeightDecay, keras.optimizers.RMSprop):
    ...     pass
    >>> optimizer = RMSprop(learning_rate=0.01, coupled_weight_decay=1e-4)
    >>> optimizer.exclude_from_weight_decay(var_names=["bias"])
    >>> optimizer.coupled_weight_decay
    0.0001

    When not to use:
        With Adam, for regularization as such: the decay is divided by the gradient's size there,
        so weights with large gradients decay little. AdamW was made to avoid that; its rule is
        Keras's `weight_decay`. With an embedding of which few rows are looked up: the gradient
        becomes dense, as it is in PyTorch by default.

    Migration:
        `weight_decay` of PyTorch's SGD, Adam, RMSprop and Adagrad is `coupled_weight_decay`; that
        of its AdamW is Keras's `weight_decay`. `exclude_from_weight_decay` is Keras's and takes
        the place of parameter groups; Keras does not save it with a model, so call it again after
        loading one to train on.

    Reference:
        I. Loshchilov, F. Hutter, "Decoupled Weight Decay Regularization", ICLR 2019,
        arXiv 1711.05101.
    """

    def __init__(
        self, *args: Any, coupled_weight_decay: float | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        if coupled_weight_decay is not None:
            coupled_weight_decay = checks.number("coupled_weight_decay", coupled_weight_decay, 0)
            if self.weight_decay is not None:
                raise ValueError(
                    "Set one of `coupled_weight_decay`, which is added to the gradient, and "
                    "`weight_decay`, which shrinks the weight beside it. Received: "
                    f"coupled_weight_decay={coupled_weight_decay}, weight_decay={self.weight_decay}"
                )
        self.coupled_weight_decay = coupled_weight_decay

    def update_step(self, gradient: Tensor, variable: Tensor, learning_rate: Tensor) -> None:
        # Here gradients are summed over replicas already, and clipped.
        if self.coupled_weight_decay and self._use_weight_decay(variable):
            decay = ops.cast(self.coupled_weight_decay, variable.dtype)
            gradient = ops.add(dense_gradient(gradient, variable), ops.multiply(variable, decay))
        super().update_step(gradient, variable, learning_rate)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "coupled_weight_decay": self.coupled_weight_decay}
