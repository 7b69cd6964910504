"""Mean-field logits: a Gaussian posterior over logits reduced to one vector of logits."""

import math
from typing import Any

import keras
from keras import ops

from tfphen.core import checks
from tfphen.core.types import Shape, Tensor, TensorLike
from tfphen.layers.laplace_posterior import FORMS

# The two usual factors. The first matches the slopes at 0 of the logistic function and of the
# normal distribution function; the second matches the variances of the two distributions.
MEAN_FIELD_PROBIT = math.pi / 8
MEAN_FIELD_LOGISTIC = 3 / math.pi**2

MEAN_FIELD_LIKELIHOODS = ("logistic", "binary_logistic", "poisson")


def _float_tensor(value: TensorLike) -> Tensor:
    value = ops.convert_to_tensor(value)
    wide = keras.backend.standardize_dtype(value.dtype) in ("float32", "float64")
    return value if wide else ops.cast(value, "float32")


def _checked_factor(factor: float | None) -> float | None:
    """A factor, or None where logits are left as they are: for None and negative ones."""
    factor = None if factor is None else checks.number("mean_field_factor", factor)
    return None if factor is None or factor < 0 else factor


def _goes_with(one: int | None, other: int | None) -> bool:
    """Whether two sizes, either of which may be unknown, are equal."""
    return one is None or other is None or one == other


def _form(shape: Shape, wanted: Shape) -> str:
    """Which form of covariance a shape is, for logits of the shape `wanted`."""
    if len(shape) == 2 and len(wanted) == 2 and shape[1] != 1:
        per_logit, matrix = shape[1] == wanted[1], shape[0] == shape[1] is not None
        if per_logit and matrix:
            raise ValueError(
                f"A `covariance` of shape {shape} for {wanted[1]} logits is either one variance a "
                'logit or a matrix over the batch: pass covariance_form="variance" or "matrix". '
                f"Received: covariance.shape={shape}, logits.shape={wanted}"
            )
        return "variance" if per_logit else "matrix"
    return "matrix" if len(shape) > len(wanted) else "variance"


def _variance(logits: Tensor, covariance: Tensor, form: str | None) -> Tensor:
    """The variance of each logit, with the rank of the logits or one that broadcasts to it."""
    shape, wanted = tuple(covariance.shape), tuple(logits.shape)
    if form not in (None, *FORMS):
        raise ValueError(
            f"`covariance_form` is None or one of {', '.join(FORMS)}. "
            f"Received: covariance_form={form!r}"
        )
    form = form or _form(shape, wanted)
    if form == "variance":
        expected = [wanted[:-1], (*wanted[:-1], 1), wanted]
    else:
        batch, classes = wanted[0], wanted[-1]
        expected = [(batch, batch), (classes, batch, batch)] if len(wanted) == 2 else []
    fits = [len(shape) == len(sizes) and all(map(_goes_with, shape, sizes)) for sizes in expected]
    if not any(fits):
        raise ValueError(
            "`covariance` holds one variance an example, [batch], one a logit, [batch, K], or a "
            "matrix over the batch, [batch, batch] or [K, batch, batch]. "
            f"Received: covariance.shape={shape}, logits.shape={wanted}"
        )
    if form == "matrix":
        covariance = ops.diagonal(covariance, axis1=-2, axis2=-1)
        # One matrix a class comes with the classes in front.
        covariance = covariance if len(shape) == 2 else ops.transpose(covariance)
    same_rank = len(covariance.shape) == len(wanted)
    return covariance if same_rank else ops.expand_dims(covariance, -1)


def mean_field_logits(
    logits: TensorLike,
    covariance: TensorLike | None = None,
    mean_field_factor: float | None = MEAN_FIELD_PROBIT,
    likelihood: str = "logistic",
    covariance_form: str | None = None,
) -> Tensor:
    """Logits whose softmax approximates the mean of the softmax over a Gaussian posterior.

    With logits z and their variances v,

        z / √(1 + λ v)

    The factor λ is π/8 (`MEAN_FIELD_PROBIT`) or 3/π² (`MEAN_FIELD_LOGISTIC`) where v is a variance
    in the units of the logits. Where features are not scaled, v is `num_inducing / 2` times larger,
    and published code tunes λ: 20 for CIFAR-10 and 7.5 for CIFAR-100. With one variance per example
    the most probable class never changes, only how probable it is.

    Args:
        logits: `[batch, K]`. 16-bit floats are computed in float32.
        covariance: Covariance of the logits: variances `[batch]` or `[batch, K]`; or a matrix over
            the batch, `[batch, batch]` or, one per class, `[K, batch, batch]`, of which the
            diagonal is used. None stands for variances of 1: a temperature.
        mean_field_factor: λ. None or a negative number returns the logits as they are.
        likelihood: `"logistic"`, `"binary_logistic"` (the same) or `"poisson"`, which returns
            z exp(λ v / 2) as edward2 does. (The mean of exp(z) itself is exp(z + v / 2).)
        covariance_form: `"variance"` or `"matrix"`, needed only where a batch has as many examples
            as there are classes, so that shapes do not tell which.

    Returns:
        `[batch, K]`, float32 or float64.

    Raises:
        ValueError: A covariance of another shape, or one that can be read in two ways; an unknown
            likelihood; a factor that is no finite number.

    Example:

    >>> float(mean_field_logits([[2.0, 0.0]], [8 / math.pi])[0, 0])  # 2 / √2
    1.41421...

    Reference:
        Z. Lu, E. Ie, F. Sha, "Mean-Field Approximation to Gaussian-Softmax Integral with
        Application to Uncertainty Estimation", 2020, arXiv 2006.07584.
    """
    logits = _float_tensor(logits)
    factor = _checked_factor(mean_field_factor)
    checks.one_of("likelihood", likelihood, MEAN_FIELD_LIKELIHOODS)
    if factor is None:
        return logits
    if covariance is None:
        variance = 1.0
    else:
        covariance = ops.cast(ops.convert_to_tensor(covariance), logits.dtype)
        variance = _variance(logits, covariance, covariance_form)
    if likelihood == "poisson":
        return logits * ops.exp(ops.cast(factor * variance / 2.0, logits.dtype))
    return logits / ops.sqrt(ops.cast(1.0 + factor * variance, logits.dtype))


@keras.saving.register_keras_serializable(package="tfphen")
class MeanFieldLogits(keras.layers.Layer):
    """Adjusts logits by their variance in inference and leaves them alone in training.

    See `mean_field_logits` for the equation. After a `RandomFeatureGaussianProcess` that returns
    a variance it makes `predict` and `evaluate` see the adjusted logits, while the loss of `fit`
    sees the plain ones, as the published training does.

    Args:
        mean_field_factor: λ; π/8 by default. None or a negative number: never adjust.
        likelihood: `"logistic"`, `"binary_logistic"` or `"poisson"`.
        **kwargs: Keyword arguments of `keras.layers.Layer`: `name`, `dtype`.

    Call arguments:
        inputs: A pair: logits `[batch, K]` and variances `[batch]` or `[batch, K]`. Logits alone
            count as logits of variance 1.
        training: Whether to return the logits as they are.

    Returns:
        Logits, `[batch, K]`.

    Raises:
        ValueError: An unknown likelihood, or a factor that is no finite number.

    Example:

    >>> layer = MeanFieldLogits()
    >>> logits, variance = ops.ones((1, 2)), ops.full((1,), 8 / math.pi)
    >>> float(layer([logits, variance])[0, 0])
    0.70710...
    >>> float(layer([logits, variance], training=True)[0, 0])
    1.0

    When not to use:
        With a metric that needs the plain logits in `evaluate`, or with variances of features that
        are not scaled, unless the factor is tuned.

    Reference:
        Z. Lu, E. Ie, F. Sha, "Mean-Field Approximation to Gaussian-Softmax Integral with
        Application to Uncertainty Estimation", 2020, arXiv 2006.07584.
    """

    def __init__(
        self,
        mean_field_factor: float | None = MEAN_FIELD_PROBIT,
        likelihood: str = "logistic",
        **kwargs: Any,
    ) -> None:
        # Variances are not to be rounded to 16 bits on the way in.
        super().__init__(**{"autocast": False, **kwargs})
        self.mean_field_factor = _checked_factor(mean_field_factor)
        self.likelihood = checks.one_of("likelihood", likelihood, MEAN_FIELD_LIKELIHOODS)

    def call(self, inputs: Any, training: bool | None = None) -> Tensor:
        logits, variance = inputs if isinstance(inputs, (list, tuple)) else (inputs, None)
        # Whatever comes in, 16 bits or NumPy's float64: as wide as the layer, at least float32.
        logits = ops.cast(logits, self._working_dtype)
        if training:
            return logits
        return mean_field_logits(
            logits, variance, self.mean_field_factor, self.likelihood, "variance"
        )

    @property
    def _working_dtype(self) -> str:
        return "float64" if self.compute_dtype == "float64" else "float32"

    def compute_output_shape(self, input_shape: Any) -> Shape:
        pair = isinstance(input_shape[0], (list, tuple))
        return tuple(input_shape[0] if pair else input_shape)

    def compute_output_spec(self, inputs: Any, training: bool | None = None) -> Any:
        logits = inputs[0] if isinstance(inputs, (list, tuple)) else inputs
        return keras.KerasTensor(logits.shape, dtype=self._working_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "mean_field_factor": self.mean_field_factor,
            "likelihood": self.likelihood,
        }
