"""Deferred re-weighting (DRW): plain training first, class weights near the end."""

import math
import warnings
from typing import Any

import keras

from tfphen.core import checks
from tfphen.core.types import TensorLike
from tfphen.losses.class_counts import effective_number_weights, listed_class_counts
from tfphen.losses.class_weighted import ClassWeightedLoss


def _checked_start(start_epoch: Any) -> int | float:
    """Returns a whole number of epochs as int, and a fraction of the training as float."""
    start = checks.number("start_epoch", start_epoch, 0)
    if start.is_integer():
        return int(start)
    if start > 1:
        raise ValueError(
            "`start_epoch` must be a whole number of epochs, or a share of them between 0 and 1. "
            f"Received: start_epoch={start_epoch}"
        )
    return start


class DeferredReweighting(keras.callbacks.Callback):
    """Turns on class weights of the model's loss at an epoch near the end of training.

    Weights from the start make a network's features worse; weights in the last part of training,
    when the learning rate has dropped, correct the classifier without that. With n_k training
    examples of class k the weights are 1 before the epoch, and from it on

        w_k ∝ (1 - β) / (1 - β^n_k),    Σ_k n_k w_k = Σ_k n_k

    so that their mean over the training set is 1. The paper divides each batch by the sum of its
    weights: compile the loss with `reduction="mean_with_sample_weight"` for that. With the default
    reduction a batch is divided by its size, which is the same on average.

    The model's loss must be one of this library's losses with `class_weights`:
    `ClassWeightedCrossentropy()`, `LDAMLoss`, `LDAMHingeLoss`, `VSLoss`, `CDTLoss`,
    `LogitAdjustedLoss` or `PolyTailedLoss`. Its weights are set at the beginning of the epoch and
    the training step is compiled once more; without that a compiled step would keep the old ones.
    Before that epoch nothing differs from training without the callback. The epoch number alone
    decides, so a training that is resumed with `initial_epoch` goes on as it should, and a model
    saved on the way carries the weights that are in force in its loss. Losses of validation data
    are weighted as those of training are.

    Args:
        class_counts: List of the number of training examples of each class.
        start_epoch: First epoch with weights, counted from 0; or, between 0 and 1, the fraction of
            `fit`'s epochs that go before, rounded up. The paper's is 160 of 200.
        beta: β, from 0 to 1: 0 gives equal weights, 1 weights in proportion to 1 / n_k.

    Raises:
        ValueError: A setting out of range. In `fit`: the model's loss has no class weights, is
            for another number of classes, or has class weights of its own already.

    Example:

    >>> import numpy as np
    >>> from tfphen.losses.class_weighted import ClassWeightedCrossentropy
    >>> labels = np.repeat([0, 1], [30, 10])
    >>> inputs = np.ones((40, 3), "float32")
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> loss = ClassWeightedCrossentropy(reduction="mean_with_sample_weight")
    >>> model.compile("sgd", loss)
    >>> reweighting = DeferredReweighting([30, 10], start_epoch=0.5)
    >>> history = model.fit(inputs, labels, epochs=4, verbose=0, callbacks=[reweighting])
    >>> [round(weight, 3) for weight in loss.class_weights]  # in force since epoch 2
    [0.667, 1.999]

    When not to use:
        With `VSLoss` or `CDTLoss`, according to others who tried to combine them. With a constant
        learning rate the second part is a different problem trained from a warm start rather than
        a correction: let the schedule drop at the same epoch. To weight from the first epoch pass
        `class_weights` to the loss instead.

    Migration:
        PyTorch, `--train_rule DRW` of the LDAM authors, which starts at a fixed epoch 160 and so
        never in a shorter run: `DeferredReweighting(cls_num_list, start_epoch=160)` with a loss of
        `reduction="mean_with_sample_weight"`.

    Reference:
        K. Cao et al., "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss",
        NeurIPS 2019, arXiv 1906.07413, algorithm 1.
    """

    def __init__(
        self, class_counts: TensorLike, start_epoch: float = 0.8, beta: float = 0.9999
    ) -> None:
        super().__init__()
        self.class_counts = listed_class_counts(class_counts)
        self.start_epoch = _checked_start(start_epoch)
        self.beta = checks.number("beta", beta, 0, 1)
        weights = effective_number_weights(self.class_counts, self.beta, "examples")
        # Equal weights are all exactly 1: with none the training is the plain one to the last bit.
        self.class_weights = None if (weights == 1).all() else weights.tolist()

    def first_epoch(self, epochs: int) -> int:
        """Returns the first epoch with weights, counted from 0, of a training run of `epochs`."""
        if isinstance(self.start_epoch, int):
            return self.start_epoch
        # 0.7 of 10 epochs is 7, whatever the product is in floating point.
        return math.ceil(round(self.start_epoch * epochs, 9))

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        loss, count = self._loss(), len(self.class_counts)
        # Checked here: the loss itself would only notice when the weights start.
        shape = getattr(self.model, "output_shape", None)
        outputs = shape[-1] if isinstance(shape, tuple) and shape else count
        if {len(getattr(loss, "class_counts", self.class_counts)), outputs} != {count}:
            raise ValueError(
                "The model, its loss and `class_counts` of this callback must be for the same "
                f"classes. Received: class_counts={self.class_counts}, loss with class_counts="
                f"{getattr(loss, 'class_counts', None)}, model.output_shape={shape}"
            )
        if loss.class_weights not in (None, self.class_weights):
            raise ValueError(
                "The model's loss must not have class weights of its own: those of this callback "
                "would replace them. Make it with `class_weights=None`. "
                f"Received: class_weights={loss.class_weights}"
            )
        epochs = self.params["epochs"]
        if self.first_epoch(epochs) >= epochs:
            warnings.warn(
                f"No epoch is re-weighted: `start_epoch` is {self.start_epoch}, counted from 0, "
                f"and this training ends after {epochs}.",
                stacklevel=2,
            )

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        deferred = epoch < self.first_epoch(self.params["epochs"])
        wanted, loss = None if deferred else self.class_weights, self._loss()
        if loss.class_weights == wanted:
            return
        loss.class_weights = wanted
        # A compiled step holds the weights of the time it was traced, on every backend.
        self.model.make_train_function(force=True)
        if self.model.test_function is not None:
            self.model.make_test_function(force=True)

    def _loss(self) -> ClassWeightedLoss:
        found = [
            loss
            for loss in keras.tree.flatten(self.model.loss)
            if isinstance(loss, ClassWeightedLoss)
        ]
        if len(found) != 1:
            raise ValueError(
                "DeferredReweighting needs a model with exactly one loss that takes "
                "`class_weights`, such as `ClassWeightedCrossentropy()` or `LDAMLoss`. "
                f"Received: model.loss={self.model.loss!r}"
            )
        return found[0]
