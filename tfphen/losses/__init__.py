"""Losses: pure functions of `(y_true, y_pred)` with one loss an example, and their Keras classes.

Labels are sparse integers, predictions are logits by default.
"""

from tfphen.errors import UsageError, nearest
from tfphen.losses.noise_corrected import (
    BackwardCorrectedCrossentropy,
    ForwardCorrectedCrossentropy,
    backward_corrected_crossentropy,
    forward_corrected_crossentropy,
)
from tfphen.losses.noise_estimation import estimate_transition_matrix
from tfphen.losses.noise_robust import (
    bootstrap_hard_crossentropy,
    bootstrap_soft_crossentropy,
    ramp_loss,
    savage_loss,
    sigmoid_loss,
    unhinged_loss,
)
from tfphen.losses.noise_robust_classes import (
    BootstrapHardCrossentropy,
    BootstrapSoftCrossentropy,
    RampLoss,
    SavageLoss,
    SigmoidLoss,
    UnhingedLoss,
)

LOSSES = {
    "backward_corrected_crossentropy": BackwardCorrectedCrossentropy,
    "bootstrap_hard_crossentropy": BootstrapHardCrossentropy,
    "bootstrap_soft_crossentropy": BootstrapSoftCrossentropy,
    "forward_corrected_crossentropy": ForwardCorrectedCrossentropy,
    "ramp_loss": RampLoss,
    "savage_loss": SavageLoss,
    "sigmoid_loss": SigmoidLoss,
    "unhinged_loss": UnhingedLoss,
}

__all__ = [
    "LOSSES",
    "BackwardCorrectedCrossentropy",
    "BootstrapHardCrossentropy",
    "BootstrapSoftCrossentropy",
    "ForwardCorrectedCrossentropy",
    "RampLoss",
    "SavageLoss",
    "SigmoidLoss",
    "UnhingedLoss",
    "backward_corrected_crossentropy",
    "bootstrap_hard_crossentropy",
    "bootstrap_soft_crossentropy",
    "estimate_transition_matrix",
    "forward_corrected_crossentropy",
    "get",
    "ramp_loss",
    "savage_loss",
    "sigmoid_loss",
    "unhinged_loss",
]


def get(name: str) -> type:
    """Returns the loss class with this name, `"ramp_loss"` or `"RampLoss"`.

    Raises:
        UsageError: There is none.
    """
    known = {**LOSSES, **{cls.__name__: cls for cls in LOSSES.values()}}
    if name not in known:
        raise UsageError(
            f"Unknown loss {name!r}.{nearest(name, known)} Allowed: {', '.join(LOSSES)}"
        )
    return known[name]
