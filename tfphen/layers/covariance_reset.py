"""Precisions from exactly one pass over training data: a callback for `fit`, or a separate pass."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from tfphen.core import checks, keras_internals
from tfphen.core.types import TensorLike
from tfphen.layers.laplace_covariance import LaplaceRandomFeatureCovariance


def covariance_layers(model: keras.Model) -> list[LaplaceRandomFeatureCovariance]:
    """Returns the layers of a model, or of a layer, that hold a precision.

    Raises:
        ValueError: It has none.
    """
    # What Keras walks itself; `model.layers` stops at the first level.
    every = keras_internals.flattened_layers(model)
    found = [layer for layer in every if isinstance(layer, LaplaceRandomFeatureCovariance)]
    if not found:
        raise ValueError(
            "`model` has no layer that holds a precision, such as RandomFeatureGaussianProcess. "
            f"Received: model={model!r}"
        )
    return found


def update_covariance(model: keras.Model) -> None:
    """Updates the stored root of each covariance of a model, in float64 on the host.

    Without it each batch of inference inverts the precision again. `ResetCovariance`,
    `fit_covariance` and `SNGP` call it; it is a no-op where the root is current.

    Args:
        model: A model with one or more `RandomFeatureGaussianProcess`, or such a layer.

    Raises:
        ValueError: No layer that holds a precision, or a precision that is not finite.

    Example:

    >>> from tfphen.layers.random_feature_gaussian_process import RandomFeatureGaussianProcess
    >>> model = keras.Sequential([keras.Input((2,)), RandomFeatureGaussianProcess(3, 16)])
    >>> _ = model(np.ones((4, 2)), training=True)
    >>> update_covariance(model)

    When not to use:
        Inside a compiled function: it reads variables on the host.

    Reference:
        J. Liu et al., "Simple and Principled Uncertainty Estimation with Deterministic Deep
        Learning via Distance Awareness", NeurIPS 2020, arXiv 2006.10108.
    """
    for layer in covariance_layers(model):
        layer.update_covariance()


def _batches(
    x: Any, sample_weight: TensorLike | None, batch_size: int, steps: int | None
) -> Iterator[tuple[Any, Any]]:
    """Yields (inputs, weights or None) of arrays, or of anything that yields batches."""
    arrays = [leaf for leaf in keras.tree.flatten(x) if hasattr(leaf, "shape")]
    if isinstance(x, (list, tuple)) and x and not arrays:
        x = np.asarray(x)
        arrays = [x]
    if not arrays:
        if sample_weight is not None:
            raise ValueError(
                "`sample_weight` goes with arrays; a data set yields (x, y, sample_weight). "
                f"Received: sample_weight with x of type {type(x).__name__}"
            )
        batches = x
        if isinstance(x, keras.utils.PyDataset):
            batches = (x[index] for index in range(x.num_batches))
        for number, batch in enumerate(batches):
            if number == steps:
                return
            inputs, _, weights = keras.utils.unpack_x_y_sample_weight(batch)
            yield inputs, weights
        return
    count = int(arrays[0].shape[0])
    for start in range(0, count, batch_size):
        rows = slice(start, start + batch_size)
        weights = None if sample_weight is None else sample_weight[rows]
        yield keras.tree.map_structure(lambda leaf, rows=rows: leaf[rows], x), weights


def fit_covariance(
    model: keras.Model,
    x: Any,
    sample_weight: TensorLike | None = None,
    batch_size: int = 128,
    steps: int | None = None,
) -> None:
    """Sets each precision of a model to the exact sum over these examples, in one pass.

    Weights stay as they are and the model runs in inference mode, so the result is the posterior
    of the trained model: without dropout, without features of weights that have moved since, and
    the same for any `batch_size`. A momentum is not used.

    Args:
        model: A model with one or more `RandomFeatureGaussianProcess`, or such a layer.
        x: Inputs of the model: an array, a structure of arrays, or an iterator or dataset whose
            batches are x, (x, y) or (x, y, sample_weight), as a `tf.data.Dataset` or a
            `keras.utils.PyDataset`.
        sample_weight: `[examples]`, with arrays only: 0 for rows to leave out.
        batch_size: Batch size, for arrays.
        steps: Number of batches of a dataset to use; required where it is infinite.

    Raises:
        ValueError: No layer that holds a precision, or no example.

    Example:

    >>> from tfphen.layers.random_feature_gaussian_process import RandomFeatureGaussianProcess
    >>> model = keras.Sequential([keras.Input((2,)), RandomFeatureGaussianProcess(3, 16)])
    >>> fit_covariance(model, np.zeros((10, 2)))
    >>> float(keras.ops.trace(model.layers[-1].precision)) > 0
    True

    When not to use:
        Where a pass over the data is too expensive: the sum of the last epoch of `fit`, with
        `ResetCovariance`, costs nothing extra.

    Reference:
        J. Liu et al., "Simple and Principled Uncertainty Estimation with Deterministic Deep
        Learning via Distance Awareness", NeurIPS 2020, arXiv 2006.10108, algorithm 1.
    """
    checks.whole("batch_size", batch_size)
    started = False
    layers = covariance_layers(model) if model.built else []
    try:
        for inputs, weights in _batches(x, sample_weight, batch_size, steps):
            if not model.built:
                model(inputs, training=False)
                layers = covariance_layers(model)
            for layer in layers:
                if not started:
                    layer.reset_covariance()
                layer.gathering, layer.gathering_weight = True, weights
            started = True
            model(inputs, training=False)
    finally:
        for layer in layers:
            layer.gathering, layer.gathering_weight = False, None
    if not started:
        raise ValueError(f"`x` holds no example. Received: x of type {type(x).__name__}")
    for layer in layers:
        layer.update_covariance()


class ResetCovariance(keras.callbacks.Callback):
    """Makes every precision hold one pass: forgets it at the start of each epoch of `fit`.

    A `RandomFeatureGaussianProcess` with a sum adds every training batch to its precision. Without
    this, over E epochs the precision is E times too large and the variance about E times too small.
    Precisions with a momentum are left unchanged. Before each validation and at the end the root of
    the covariance is computed once, so that no batch of inference has to.

    Args:
        refit_on: None, or the training inputs (see `fit_covariance`): at the end of training each
            precision is computed again from them, with the final weights in inference mode.
        batch_size: For `refit_on`, of arrays.

    Raises:
        ValueError: At the start of `fit`, if the model has no layer that holds a precision.

    Example:

    >>> from tfphen.layers.random_feature_gaussian_process import RandomFeatureGaussianProcess
    >>> model = keras.Sequential([keras.Input((2,)), RandomFeatureGaussianProcess(1, 16)])
    >>> model.compile("sgd", "mse")
    >>> x = np.zeros((8, 2))
    >>> _ = model.fit(x, x[:, 0], epochs=3, verbose=0, callbacks=[ResetCovariance()])
    >>> gp = model.layers[-1]
    >>> ratio = keras.ops.trace(gp.precision) / keras.ops.sum(gp.random_features(x) ** 2)
    >>> round(float(ratio), 4)
    1.0

    When not to use:
        With a momentum only, or in a loop of `train_on_batch`: call `reset_covariance` there.

    Migration:
        From the TensorFlow tutorial: `ResetCovarianceCallback`, which starts at the second epoch;
        this one also starts the first at nothing, so that a second `fit` is right too.

    Reference:
        J. Liu et al., "Simple and Principled Uncertainty Estimation with Deterministic Deep
        Learning via Distance Awareness", NeurIPS 2020, arXiv 2006.10108, algorithm 1.
    """

    def __init__(self, refit_on: Any = None, batch_size: int = 128) -> None:
        super().__init__()
        self.refit_on = refit_on
        self.batch_size = batch_size

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        covariance_layers(self.model)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        for layer in covariance_layers(self.model):
            if layer.covariance_momentum is None:
                layer.reset_covariance()

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        update_covariance(self.model)

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        update_covariance(self.model)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self.refit_on is not None:
            fit_covariance(self.model, self.refit_on, batch_size=self.batch_size)
        update_covariance(self.model)
