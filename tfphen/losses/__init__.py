"""Losses: pure functions of `(y_true, y_pred)` with one loss per example, and their Keras classes.

Labels are sparse integers, predictions are logits by default.
"""

from tfphen.core.errors import UsageError, nearest
from tfphen.losses.bootstrapping import (
    BootstrapHardCrossentropy,
    BootstrapSoftCrossentropy,
    bootstrap_hard_crossentropy,
    bootstrap_soft_crossentropy,
)
from tfphen.losses.class_counts import (
    class_priors,
    effective_number_weights,
    inverse_frequency_weights,
)
from tfphen.losses.class_dependent_temperatures import CDTLoss, cdt_loss, class_temperatures
from tfphen.losses.class_weighted import ClassWeightedCrossentropy, class_weighted_crossentropy
from tfphen.losses.cosine_softmax import CosineSoftmaxCrossentropy, cosine_softmax_crossentropy
from tfphen.losses.deferred_reweighting import DeferredReweighting
from tfphen.losses.group_vector_scaling import GroupVSLoss, group_vs_loss
from tfphen.losses.label_smoothing import LabelSmoothedCrossentropy, label_smoothed_crossentropy
from tfphen.losses.logit_adjustment import LogitAdjustedLoss, logit_adjusted_loss
from tfphen.losses.logit_normalization import (
    LogitNormalizedCrossentropy,
    logit_normalized_crossentropy,
    normalized_logits,
)
from tfphen.losses.logit_penalty import LogitPenaltyCrossentropy, logit_penalty_crossentropy
from tfphen.losses.margins import LDAMHingeLoss, LDAMLoss, ldam_hinge_loss, ldam_loss, ldam_margins
from tfphen.losses.noise_corrected import (
    BackwardCorrectedCrossentropy,
    ForwardCorrectedCrossentropy,
    backward_corrected_crossentropy,
    forward_corrected_crossentropy,
)
from tfphen.losses.noise_estimation import estimate_transition_matrix
from tfphen.losses.noise_robust import (
    RampLoss,
    SavageLoss,
    SigmoidLoss,
    UnhingedLoss,
    ramp_loss,
    savage_loss,
    sigmoid_loss,
    unhinged_loss,
)
from tfphen.losses.poly_tailed import PolyTailedLoss, poly_tailed_loss
from tfphen.losses.sigmoid_crossentropy import (
    SigmoidCrossentropy,
    shifted_logits,
    sigmoid_crossentropy,
)
from tfphen.losses.softmax_binary_crossentropy import (
    SoftmaxBinaryCrossentropy,
    softmax_binary_crossentropy,
)
from tfphen.losses.squared_error import SquaredErrorLoss, squared_error_loss
from tfphen.losses.transfer_objectives import (
    TRANSFER_OBJECTIVES,
    TransferObjective,
    transfer_objective,
)
from tfphen.losses.vector_scaling import VSLoss, vector_scaled_logits, vs_loss

_CLASSES = (
    BackwardCorrectedCrossentropy,
    BootstrapHardCrossentropy,
    BootstrapSoftCrossentropy,
    CDTLoss,
    ClassWeightedCrossentropy,
    CosineSoftmaxCrossentropy,
    ForwardCorrectedCrossentropy,
    GroupVSLoss,
    LDAMHingeLoss,
    LDAMLoss,
    LabelSmoothedCrossentropy,
    LogitAdjustedLoss,
    LogitNormalizedCrossentropy,
    LogitPenaltyCrossentropy,
    PolyTailedLoss,
    RampLoss,
    SavageLoss,
    SigmoidCrossentropy,
    SigmoidLoss,
    SoftmaxBinaryCrossentropy,
    SquaredErrorLoss,
    UnhingedLoss,
    VSLoss,
)

LOSSES = {cls.function.__name__: cls for cls in _CLASSES}

__all__ = [
    "LOSSES",
    "TRANSFER_OBJECTIVES",
    "BackwardCorrectedCrossentropy",
    "BootstrapHardCrossentropy",
    "BootstrapSoftCrossentropy",
    "CDTLoss",
    "ClassWeightedCrossentropy",
    "CosineSoftmaxCrossentropy",
    "DeferredReweighting",
    "ForwardCorrectedCrossentropy",
    "GroupVSLoss",
    "LDAMHingeLoss",
    "LDAMLoss",
    "LabelSmoothedCrossentropy",
    "LogitAdjustedLoss",
    "LogitNormalizedCrossentropy",
    "LogitPenaltyCrossentropy",
    "PolyTailedLoss",
    "RampLoss",
    "SavageLoss",
    "SigmoidCrossentropy",
    "SigmoidLoss",
    "SoftmaxBinaryCrossentropy",
    "SquaredErrorLoss",
    "TransferObjective",
    "UnhingedLoss",
    "VSLoss",
    "backward_corrected_crossentropy",
    "bootstrap_hard_crossentropy",
    "bootstrap_soft_crossentropy",
    "cdt_loss",
    "class_priors",
    "class_temperatures",
    "class_weighted_crossentropy",
    "cosine_softmax_crossentropy",
    "effective_number_weights",
    "estimate_transition_matrix",
    "forward_corrected_crossentropy",
    "get",
    "group_vs_loss",
    "inverse_frequency_weights",
    "label_smoothed_crossentropy",
    "ldam_hinge_loss",
    "ldam_loss",
    "ldam_margins",
    "logit_adjusted_loss",
    "logit_normalized_crossentropy",
    "logit_penalty_crossentropy",
    "normalized_logits",
    "poly_tailed_loss",
    "ramp_loss",
    "savage_loss",
    "shifted_logits",
    "sigmoid_crossentropy",
    "sigmoid_loss",
    "softmax_binary_crossentropy",
    "squared_error_loss",
    "transfer_objective",
    "unhinged_loss",
    "vector_scaled_logits",
    "vs_loss",
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
