"""Cosine classifier: a dense layer with unit-norm features and kernel columns."""

from typing import Any

import keras
from keras import ops

from tfphen.core import checks
from tfphen.core.types import Shape, Tensor, TensorLike

# Lengths below it count as this long, as in PyTorch's `normalize`.
_EPSILON = 1e-12


def _unit_length(values: Tensor, axis: int) -> Tensor:
    """Returns float32 vectors along `axis` divided by their lengths; zero stays zero.

    A vector shorter than epsilon has no gradient. With the plain quotient it would be 1 / epsilon,
    and one example of zeros would end the training.
    """
    values = ops.cast(values, keras.backend.result_type(values.dtype, "float32"))
    square = ops.sum(ops.square(values), axis=axis, keepdims=True)
    long = square > _EPSILON**2
    inverse = ops.rsqrt(ops.where(long, square, 1.0))
    return ops.where(long, values * inverse, ops.stop_gradient(values) / _EPSILON)


def normalized_dense(
    inputs: TensorLike,
    kernel: TensorLike,
    bias: TensorLike | None = None,
    scale: TensorLike = 1.0,
    normalize_features: bool = True,
) -> Tensor:
    """Scaled cosines of the angles between features and the columns of a kernel.

        z_k = scale (cos(h, w_k) + b_k),    cos(h, w_k) = h · w_k / (|h| |w_k|)

    Args:
        inputs: Features h, floats, `[..., d]`.
        kernel: w, `[d, K]`.
        bias: b, `[K]`, or None for none.
        scale: A number, the inverse of a temperature.
        normalize_features: Whether features are divided by their lengths; if not, z is
            scale (h · w_k / |w_k| + b_k).

    Returns:
        Logits, `[..., K]`, of the dtype of `inputs`. Lengths are computed in float32 and count as
        1e-12 at least.

    Example:

    >>> float(normalized_dense([[3.0, 4.0]], [[0.0], [2.0]], scale=10.0)[0, 0])
    8.0...

    Reference:
        K. Cao et al., "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss",
        NeurIPS 2019, arXiv 1906.07413.
    """
    inputs, kernel = ops.convert_to_tensor(inputs), ops.convert_to_tensor(kernel)
    dtype = inputs.dtype
    columns = ops.cast(_unit_length(kernel, 0), dtype)
    features = ops.cast(_unit_length(inputs, -1), dtype) if normalize_features else inputs
    outputs = ops.matmul(features, columns)
    if bias is not None:
        outputs = outputs + ops.cast(bias, dtype)
    return outputs * ops.cast(scale, dtype)


@keras.saving.register_keras_serializable(package="tfphen")
class UnitColumns(keras.initializers.Initializer):
    """Columns of length one: uniform draws in [-1, 1], each column divided by its length.

    Args:
        seed: Integer seed, or None for one drawn by Keras.

    Returns:
        When called with a shape and a dtype, a tensor whose columns along the first axis have
        length one.

    Example:

    >>> kernel = UnitColumns(seed=1)((64, 10))
    >>> float(keras.ops.max(keras.ops.abs(keras.ops.norm(kernel, axis=0) - 1.0))) < 1e-5
    True

    When not to use:
        For layers whose outputs are not normalized: the variance of a Dense layer's outputs would
        not depend on its width as the usual initialisers have it.

    Reference:
        K. Cao et al., "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss",
        NeurIPS 2019, arXiv 1906.07413; its published code.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed
        # Made once: without a seed, two calls of it agree as those of Keras's initialisers do.
        self._uniform = keras.initializers.RandomUniform(-1.0, 1.0, seed=seed)

    def __call__(self, shape: Shape, dtype: Any = None) -> Tensor:
        dtype = keras.backend.standardize_dtype(dtype)
        drawn = self._uniform(shape, dtype="float32")
        return ops.cast(_unit_length(drawn, 0), dtype)

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}


@keras.saving.register_keras_serializable(package="tfphen")
class NormalizedDense(keras.layers.Layer):
    """A dense layer of cosines, the head of LDAM and of the cosine softmax.

        z_k = scale (cos(h, w_k) + b_k),    cos(h, w_k) = h · w_k / (|h| |w_k|)

    Without a bias the outputs are in [-scale, scale], and neither the length of the features nor
    that of a column of the kernel matters. Weight decay on the kernel then changes only the
    effective learning rate.

    The LDAM head is `NormalizedDense(K)`: `LDAMLoss` scales by itself. A cosine softmax of
    temperature τ is `NormalizedDense(K, use_bias=True)` with `CosineSoftmaxCrossentropy(τ)`, or,
    with any other cross-entropy, `NormalizedDense(K, scale=1 / τ, use_bias=True)`; it was published
    with τ = 0.05. The code released for it normalizes the kernel's columns only, which is
    `normalize_features=False`.

    Args:
        units: Number of outputs K, a positive integer.
        scale: Factor of the outputs, a finite positive number.
        use_bias: Whether there is a bias, added before the scale.
        normalize_features: Whether features are divided by their lengths.
        kernel_initializer: Initializer of the kernel, `[d, K]`. None for `UnitColumns(seed)`.
        bias_initializer: Initializer of the bias, `[K]`.
        kernel_regularizer: Regularizer of the kernel.
        bias_regularizer: Regularizer of the bias.
        activity_regularizer: Regularizer of the outputs.
        kernel_constraint: Constraint on the kernel.
        bias_constraint: Constraint on the bias.
        seed: Integer seed of the default kernel initialiser, or None for one drawn by Keras.
        **kwargs: Keyword arguments of `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: Features, floats, `[batch, ..., d]`.

    Returns:
        Logits, `[batch, ..., K]`. Features of length zero give `scale * bias`.

    Raises:
        ValueError: `units` or `scale` not positive.

    Example:

    >>> layer = NormalizedDense(3, scale=20.0, seed=1)
    >>> features = keras.ops.ones((2, 8))
    >>> short, long = layer(features), layer(100.0 * features)
    >>> bool(keras.ops.max(keras.ops.abs(short - long)) < 1e-4)
    True

    When not to use:
        Before a softmax with the default scale: with K classes and logits in [-1, 1] the
        probability of a class cannot exceed e² / (e² + K - 1), so a cross-entropy of K = 10 stays
        above 0.79. Where frozen features are to be used for other classes: the cosine softmax
        separates its own classes more than the plain softmax does, and transfers worse. Where the
        length of the features carries the confidence.

    Migration:
        From PyTorch's `NormedLinear(d, K)` of LDAM-DRW and its descendants: `NormalizedDense(K)`;
        `weight` has the kernel's shape, `[d, K]`. Where a fork multiplies by s inside the head,
        use `scale=s` here and scale 1 in the loss, or the other way round: apply it once.

    Reference:
        K. Cao et al., "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss",
        NeurIPS 2019, arXiv 1906.07413; S. Kornblith et al., "Why Do Better Loss Functions Lead to
        Less Transferable Features?", NeurIPS 2021, arXiv 2010.16402 (cosine softmax).
    """

    def __init__(
        self,
        units: int,
        scale: float | None = 1.0,
        use_bias: bool = False,
        normalize_features: bool = True,
        kernel_initializer: Any = None,
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        units = checks.whole("units", units)
        scale = checks.positive("scale", scale)
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.units = units
        self.scale = scale
        self.use_bias = use_bias
        self.normalize_features = normalize_features
        self.seed = seed
        if kernel_initializer is None:
            kernel_initializer = UnitColumns(seed)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.input_spec = keras.layers.InputSpec(min_ndim=2)
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        self.kernel = self.add_weight(
            name="kernel",
            shape=(input_shape[-1], self.units),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.units,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.input_spec = keras.layers.InputSpec(min_ndim=2, axes={-1: input_shape[-1]})
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        return normalized_dense(inputs, self.kernel, self.bias, self.scale, self.normalize_features)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "scale": self.scale,
            "use_bias": self.use_bias,
            "normalize_features": self.normalize_features,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": keras.constraints.serialize(self.kernel_constraint),
            "bias_constraint": keras.constraints.serialize(self.bias_constraint),
            "seed": self.seed,
        }
