"""The Keras classes of the losses in `vector_scaling`. They only hold configuration."""

import keras

from tfphen.core import checks
from tfphen.losses.class_counts import listed_class_counts
from tfphen.losses.class_weighted import ClassWeightedLoss
from tfphen.losses.vector_scaling import cdt_loss, logit_adjusted_loss, vs_loss


@keras.saving.register_keras_serializable(package="tfphen")
class VSLoss(ClassWeightedLoss):
    """Vector-scaling loss: cross-entropy of logits scaled and shifted by class frequency.

    With n_k training examples of class k, π_k = n_k / Σ_j n_j, logits z and class weights w,

        u_k = Δ_k z_k + ι_k,    Δ_k = (n_k / n_max)^γ,    ι_k = τ log π_k
        L = w_y (log Σ_k exp u_k - u_y)

    Class weights and shifts ι stop moving the boundary once a network separates its training set;
    the factors Δ do not. At the start of training the factors hurt rare classes, and the shifts
    make up for it. Predict with argmax of the raw logits z.

    γ = τ = 0 is cross-entropy, γ = 0 is `LogitAdjustedLoss`, τ = 0 is `CDTLoss`.

    Args:
        class_counts: List of the number of training examples of each class.
        gamma: Exponent γ of the factors, at least 0. The authors' code defaults to 0.3; values
            reported for its CIFAR runs are 0.15 (CIFAR-10) and 0.05 (CIFAR-100) for long tails.
        tau: Factor τ of the shifts, at least 0; 1.25 and 0.75 in the same runs.
        class_weights: List of K weights of at least 0, or None for ones.
        reduction: As in `ClassWeightedCrossentropy`.
        name: Of the loss.
        dtype: Of its computations.

    Call arguments:
        y_true: Integer labels, `[batch]` or `[batch, 1]`.
        y_pred: Logits, `[batch, K]`.
        sample_weight: Optional weights of the examples, `[batch]`.

    Returns:
        The loss, in nats: a scalar, or `[batch]` with `reduction=None`.

    Raises:
        ValueError: A setting out of its range, or labels and predictions that do not go together.

    Example:

    >>> loss = VSLoss(class_counts=[80, 20], gamma=0.5, tau=1.0)
    >>> float(loss([1], [[0.0, 2.0]]))  # log(1 + 4 / e)
    0.90483...
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> model.compile("sgd", loss)

    When not to use:
        With a cosine head: its logits cannot grow to meet the factors. With `DeferredReweighting`
        on top: others report that the two do not add up. Probabilities of such a model are not
        those of the training distribution; they aim at equally frequent classes.

    Migration:
        PyTorch, `VSLoss(cls_num_list, gamma, tau)` of the authors: the same arguments. Their
        `BinaryVSLoss` has the opposite sign of the shift and multiplies logits by 30; see
        `GroupVSLoss` with one group for the paper's binary formula.

    Reference:
        G. R. Kini et al., "Label-Imbalanced and Group-Sensitive Classification under
        Overparameterization", NeurIPS 2021, arXiv 2103.01550.
    """

    function = staticmethod(vs_loss)

    def __init__(
        self,
        class_counts,
        gamma=0.3,
        tau=1.0,
        class_weights=None,
        reduction="sum_over_batch_size",
        name="vs_loss",
        dtype=None,
    ):
        settings = {
            "class_counts": listed_class_counts(class_counts),
            "gamma": checks.number("gamma", gamma, 0),
            "tau": checks.number("tau", tau, 0),
            "class_weights": class_weights,
        }
        super().__init__(settings, reduction, name, dtype)


@keras.saving.register_keras_serializable(package="tfphen")
class CDTLoss(ClassWeightedLoss):
    """Cross-entropy with a temperature for each class, higher for rarer ones.

    With n_k training examples of class k, logits z and class weights w,

        a_k = (n_max / n_k)^γ ≥ 1
        L = -w_y log softmax(z / a)_y

    A network over-fits rare classes: their test examples get lower logits than their training
    examples. Dividing by a_k in training asks for larger ones. Predict with argmax of the raw
    logits z, without temperatures.

    Args:
        class_counts: List of the number of training examples of each class.
        gamma: Exponent γ of the temperatures, at least 0. Searched in [0, 0.4] for CIFAR-10,
            [0, 0.2] for CIFAR-100 and [0, 0.1] for iNaturalist.
        class_weights: List of K weights of at least 0, or None for ones.
        reduction: As in `ClassWeightedCrossentropy`.
        name: Of the loss.
        dtype: Of its computations.

    Call arguments:
        y_true: Integer labels, `[batch]` or `[batch, 1]`.
        y_pred: Logits, `[batch, K]`.
        sample_weight: Optional weights of the examples, `[batch]`.

    Returns:
        The loss, in nats: a scalar, or `[batch]` with `reduction=None`.

    Raises:
        ValueError: A setting out of its range, or labels and predictions that do not go together.

    Example:

    >>> float(CDTLoss([80, 20], gamma=0.5)([1], [[0.0, 2.0]]))  # log(1 + exp(-2 / 2))
    0.31326...

    When not to use:
        For short training: at the start a rare class gets a gradient a_k times smaller than under
        cross-entropy, and only late does it gain. With a cosine head, or strong weight decay,
        logits cannot grow as they should. Results depend on γ; tune it on balanced data.

    Migration:
        PyTorch, `VSLoss(cls_num_list, gamma, tau=0)` of the VS authors: `CDTLoss(cls_num_list,
        gamma)`. Some code stores Δ_k = 1 / a_k and multiplies: the same thing.

    Reference:
        H.-J. Ye et al., "Identifying and Compensating for Feature Deviation in Imbalanced Deep
        Learning", arXiv 2001.01385.
    """

    function = staticmethod(cdt_loss)

    def __init__(
        self,
        class_counts,
        gamma=0.2,
        class_weights=None,
        reduction="sum_over_batch_size",
        name="cdt_loss",
        dtype=None,
    ):
        settings = {
            "class_counts": listed_class_counts(class_counts),
            "gamma": checks.number("gamma", gamma, 0),
            "class_weights": class_weights,
        }
        super().__init__(settings, reduction, name, dtype)


@keras.saving.register_keras_serializable(package="tfphen")
class LogitAdjustedLoss(ClassWeightedLoss):
    """Cross-entropy of logits plus the log of the class frequencies.

    With n_k training examples of class k, π_k = n_k / Σ_j n_j, logits z and class weights w,

        L = -w_y log softmax(z + τ log π)_y

    With τ = 1 the logits of the best model are log posteriors less log π, so that their argmax is
    the Bayes rule for equally frequent classes. Predict with argmax of the raw logits z.

    Args:
        class_counts: List of the number of training examples of each class.
        tau: Factor τ of the log frequencies, at least 0. 1 is the balanced Bayes rule, also known
            as balanced softmax; runs on CIFAR-10 have used up to 2.25.
        class_weights: List of K weights of at least 0, or None for ones.
        reduction: As in `ClassWeightedCrossentropy`.
        name: Of the loss.
        dtype: Of its computations.

    Call arguments:
        y_true: Integer labels, `[batch]` or `[batch, 1]`.
        y_pred: Logits, `[batch, K]`.
        sample_weight: Optional weights of the examples, `[batch]`.

    Returns:
        The loss, in nats: a scalar, or `[batch]` with `reduction=None`.

    Raises:
        ValueError: A setting out of its range, or labels and predictions that do not go together.

    Example:

    >>> float(LogitAdjustedLoss([80, 20])([1], [[0.0, 0.0]]))  # -log 0.2
    1.60943...

    When not to use:
        For a network that is trained far beyond fitting its training set, where shifts stop
        acting: `VSLoss` adds factors that do not. Where test classes are as unequal as those of
        training: plain cross-entropy is the right loss there.

    Reference:
        A. K. Menon et al., "Long-tail learning via logit adjustment", ICLR 2021,
        arXiv 2007.07314.
    """

    function = staticmethod(logit_adjusted_loss)

    def __init__(
        self,
        class_counts,
        tau=1.0,
        class_weights=None,
        reduction="sum_over_batch_size",
        name="logit_adjusted_loss",
        dtype=None,
    ):
        settings = {
            "class_counts": listed_class_counts(class_counts),
            "tau": checks.number("tau", tau, 0),
            "class_weights": class_weights,
        }
        super().__init__(settings, reduction, name, dtype)
