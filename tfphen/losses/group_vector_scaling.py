"""The vector-scaling loss for imbalance between groups within classes."""

import keras
import numpy as np
from keras import ops

from tfphen.core import checks
from tfphen.losses.adjusted_logits import adjusted_crossentropy
from tfphen.losses.class_counts import checked_class_counts, value_of_label
from tfphen.losses.functional import FunctionalLoss
from tfphen.losses.sparse_labels import known_values, labels_and_predictions


def _checked_group_counts(group_counts) -> np.ndarray:
    """Returns counts `[..., K, G]` as float64, or raises ValueError."""
    shape = np.shape(group_counts)
    if len(shape) < 2 or shape[-2] < 2 or shape[-1] < 1:
        raise ValueError(
            "`group_counts` must have shape (..., K, G): the number of training examples of each "
            f"class in each group. Received: group_counts of shape {shape}"
        )
    flat = np.reshape(group_counts, (*shape[:-2], -1))
    return checked_class_counts(flat, "group_counts").reshape(shape)


def _classes_and_groups(y_true, y_pred, groups: int):
    """Returns labels `[...]`, groups `[...]` and float predictions `[..., K]`."""
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    if len(y_true.shape) != len(y_pred.shape) or y_true.shape[-1] != 2:
        raise ValueError(
            "`y_true` holds a class and a group for each example, shape (..., 2), for `y_pred` of "
            f"shape (..., K). Received: y_true.shape={tuple(y_true.shape)}, "
            f"y_pred.shape={tuple(y_pred.shape)}"
        )
    labels, y_pred = labels_and_predictions(y_true[..., 0], y_pred)
    values = known_values(y_true[..., 1])
    if values is not None and values.size and not 0 <= values.min() <= values.max() < groups:
        raise ValueError(
            f"`y_true[..., 1]` holds groups from 0 to {groups - 1}. "
            f"Received: groups from {values.min()} to {values.max()}"
        )
    return labels, ops.cast(y_true[..., 1], "int32"), y_pred


def group_vs_loss(y_true, y_pred, group_counts, gamma=0.3, tau=1.0):
    """Vector-scaling loss of classes and groups.

    With n_{y,g} training examples of class y in group g, N in all, and logits z,

        Δ_{y,g} = (n_{y,g} / n_max)^γ,    ι_{y,g} = -τ log(n_{y,g} / N)
        L = log(1 + Σ_{j ≠ y} exp(Δ_{y,g} (z_j - z_y) + ι_{y,g}))

    For two classes, with f = z_1 - z_0 and labels ±1, this is the paper's
    log(1 + exp(ι_{y,g} - Δ_{y,g} y f)).

    Args:
        y_true: Integers `[..., 2]`: class and group of each example.
        y_pred: Logits z, `[..., K]`.
        group_counts: Number of training examples of each class in each group, `[K, G]`, or
            `[..., K, G]` with leading axes that broadcast against those of `y_pred`, such as
            `[members, 1, K, G]`.
        gamma: Exponent γ of the factor, at least 0.
        tau: Factor τ of the shift, at least 0.

    Returns:
        One loss an example, in nats, `[...]`.

    Raises:
        ValueError: Counts that are not whole numbers of at least 1, for another number of classes
            than there are logits; `gamma` or `tau` negative; labels without a group.

    Example:

    >>> counts = [[60, 20], [10, 10]]
    >>> float(group_vs_loss([[1, 0]], [[0.0, 0.0]], counts)[0])  # log(1 + 100 / 10)
    2.39789...

    Reference:
        G. R. Kini et al., "Label-Imbalanced and Group-Sensitive Classification under
        Overparameterization", NeurIPS 2021, arXiv 2103.01550.
    """
    gamma, tau = checks.number("gamma", gamma, 0), checks.number("tau", tau, 0)
    known = known_values(group_counts) if ops.is_tensor(group_counts) else group_counts
    numeric, counts = (ops, group_counts) if known is None else (np, _checked_group_counts(known))
    labels, groups, y_pred = _classes_and_groups(y_true, y_pred, counts.shape[-1])
    if counts.shape[-2] != y_pred.shape[-1]:
        raise ValueError(
            f"`group_counts` needs a row for each of the {y_pred.shape[-1]} classes, the last axis "
            f"of `y_pred`. Received: group_counts of shape {tuple(counts.shape)}"
        )
    cells = numeric.reshape(counts, (*counts.shape[:-2], -1))
    if known is None:
        cells = ops.cast(cells, y_pred.dtype)
    scales = numeric.power(cells / numeric.max(cells, axis=-1, keepdims=True), gamma)
    shifts = -tau * numeric.log(cells / numeric.sum(cells, axis=-1, keepdims=True))
    cell = labels * counts.shape[-1] + groups
    scale, shift = (
        ops.expand_dims(value_of_label(ops.convert_to_tensor(values, y_pred.dtype), cell), -1)
        for values in (scales, shifts)
    )
    # On the wrong classes alone: a shift of all logits of an example would change nothing.
    is_wrong = 1.0 - ops.one_hot(labels, y_pred.shape[-1], dtype=y_pred.dtype)
    return adjusted_crossentropy(labels, y_pred, scale, shift * is_wrong)


@keras.saving.register_keras_serializable(package="tfphen")
class GroupVSLoss(FunctionalLoss):
    """Vector-scaling loss for groups that are unequally frequent within classes.

    With n_{y,g} training examples of class y in group g, N in all, and logits z,

        Δ_{y,g} = (n_{y,g} / n_max)^γ,    ι_{y,g} = -τ log(n_{y,g} / N)
        L = log(1 + Σ_{j ≠ y} exp(Δ_{y,g} (z_j - z_y) + ι_{y,g}))

    For two classes, with f = z_1 - z_0 and labels ±1, this is the paper's
    log(1 + exp(ι_{y,g} - Δ_{y,g} y f)); with more classes every wrong one gets the same shift,
    which is this library's reading. With one group it is the binary VS loss, whose factor goes by
    the example's class, unlike that of `VSLoss`, where it goes by the logit's.

    Both settings help the rare cells: a small Δ asks for a larger margin, a large ι adds weight
    while margins are small. The group is used in training only.

    Args:
        group_counts: Number of training examples of each class in each group, K rows of G.
        gamma: Exponent γ of the factors, at least 0; 0.3 in the authors' Waterbirds runs.
        tau: Factor τ of the shifts, at least 0.
        reduction: As in `keras.losses.Loss`.
        name: Of the loss.
        dtype: Of its computations.

    Call arguments:
        y_true: Integers `[batch, 2]`: class and group of each example. A metric of the classes
            must take the first column, see the example.
        y_pred: Logits, `[batch, K]`.
        sample_weight: Optional weights of the examples, `[batch]`: the ω of the paper.

    Returns:
        The loss, in nats: a scalar, or `[batch]` with `reduction=None`.

    Raises:
        ValueError: A setting out of its range, or labels and predictions that do not go together.

    Example:

    >>> loss = GroupVSLoss(group_counts=[[60, 20], [10, 10]])
    >>> float(loss([[1, 0]], [[0.0, 0.0]]))  # log(1 + 100 / 10)
    2.39789...
    >>> def accuracy(y_true, y_pred):
    ...     return keras.metrics.sparse_categorical_accuracy(y_true[:, 0], y_pred)
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> model.compile("sgd", loss, metrics=[accuracy])

    When not to use:
        Where groups are not known in training. With an empty cell, whose shift would be infinite:
        merge it with another group. In one comparison on CelebA it did not beat distributionally
        robust optimization with plain cross-entropy (82.6 against 84.8 % worst-group accuracy).

    Migration:
        PyTorch, `VSLoss_4groups` of the authors adds ι to both logits of an example, which
        softmax ignores: its `--loss vs` is `GroupVSLoss(counts, gamma=vs_alpha, tau=0)`, and its
        `--loss la` plain cross-entropy. There `--gamma` belongs to group DRO.

    Reference:
        G. R. Kini et al., "Label-Imbalanced and Group-Sensitive Classification under
        Overparameterization", NeurIPS 2021, arXiv 2103.01550.
    """

    function = staticmethod(group_vs_loss)

    def __init__(
        self,
        group_counts,
        gamma=0.3,
        tau=1.0,
        reduction="sum_over_batch_size",
        name="group_vs_loss",
        dtype=None,
    ):
        counts = _checked_group_counts(group_counts)
        if counts.ndim != 2:
            raise ValueError(
                "`group_counts` must have shape (K, G). "
                f"Received: group_counts of shape {counts.shape}"
            )
        settings = {
            "group_counts": counts.astype("int64").tolist(),
            "gamma": checks.number("gamma", gamma, 0),
            "tau": checks.number("tau", tau, 0),
        }
        super().__init__(settings, reduction, name, dtype)
