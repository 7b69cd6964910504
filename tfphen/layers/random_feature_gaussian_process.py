"""A Gaussian process as the last layer: random features, and a Laplace posterior over them."""

from typing import Any

import keras
from keras import ops

from tfphen.core import checks
from tfphen.core.types import Shape, Tensor
from tfphen.layers.covariance_reset import fit_covariance
from tfphen.layers.laplace_covariance import LaplaceRandomFeatureCovariance, checked_form
from tfphen.layers.random_features import checked_features, random_feature_weights, random_features
from tfphen.layers.seeded_initializer import seeded_initializer


@keras.saving.register_keras_serializable(package="tfphen")
class RandomFeatureGaussianProcess(keras.layers.Layer):
    """A last layer whose logits come with a variance that grows away from the training data.

    Inputs h go through D frozen cosine features, which approximate a Gaussian process with a
    shift-invariant kernel, and a trained linear map β. A Laplace approximation gives the posterior
    covariance of β, so each logit has a variance:

        φ = a cos(W h / √s + b)                  a = √(2 / D), or 1 without scaling
        logits = φ β + bias
        P = Σ_i w_i φ_i φ_iᵀ                     summed while training (eq. 9)
        C = r Φ (P + r I)⁻¹ Φᵀ                   over a batch; variance = diag(C)

    The kernel is that of `random_feature_weights` with the length-scale √s / `feature_stddev`: for
    the Gaussian one k(h, h') = exp(-‖h - h'‖² / (2 s)) at stddev 1. (Other documentation prints
    exp(-‖h - h'‖² / s), which is not what its code computes.) The length-scale decides whether
    the variance is of any use: compare it with distances between the inputs.

    A call returns logits, so the layer trains by `fit` in place of a last Dense. P has to be set to
    zero at the start of each epoch, or it holds several passes: give `fit` the callback
    `ResetCovariance`, or call `fit_covariance` at the end, which is cleaner: one pass in inference
    mode with the final weights. (`SNGP` does the first.) Then `layer(h, return_covariance=True)`
    gives logits and variances, for `mean_field_logits`.

    `update_covariance` computes the root of the covariance, at D³ operations, once, in float64 on
    the host; the callback, `fit_covariance` and `SNGP` call it. A call in inference whose root is
    out of date computes it each time, in float64 where the backend has it (JAX: float32).

    Args:
        units: Number of logits K.
        num_inducing: Number of random features D.
        kernel_type: `"gaussian"`, `"matern12"`, `"matern32"`, `"matern52"` or `"laplacian"`.
        kernel_scale: s. Not to be set together with `normalize_input`, where the published layers
            ignore it.
        feature_type: `"random"` or `"orthogonal"` frequencies W.
        feature_stddev: Standard deviation of the entries of W.
        random_norm: For orthogonal features, see `random_feature_weights`.
        normalize_input: Whether h goes through a `LayerNormalization` first.
        scale_random_features: Whether a is √(2 / D), so that the prior variance is 1, or 1, so that
            it is D / 2.
        output_bias: Start of the bias, the same for all logits.
        trainable_output_bias: Whether it is trained.
        kernel_initializer: Initializer of β. A name gets a seed derived from `seed`.
        kernel_regularizer: Regularizer of β.
        likelihood: The weights w: `"gaussian"` 1; `"binary_logistic"` p (1 - p) and `"poisson"`
            exp(logit), both with one unit; `"softmax"` p_k (1 - p_k) with a precision for each
            class, `[K, D, D]`, as in the paper. The published code has 1 for any classifier.
        covariance_momentum: None (or a negative number) for the sum. In (0, 1): a moving average,
            P ← m P + (1 - m) mean_i w_i φ_i φ_iᵀ, for training without epochs.
        ridge_penalty: r.
        ridge_in: `"inversion"`: P starts at 0 and r is added when it is inverted. `"start"`: P
            starts at r I. The same with a sum; with a momentum the second ridge decays away.
        scale_covariance_by_ridge: Whether C has its leading factor r, as in the code, or not, as in
            the paper. The first is the posterior for a prior variance of 1 and noise of variance r,
            the second for a prior variance of 1 / r. The same at r = 1.
        covariance_replicas: `"all"` sums over the replicas of a `tf.distribute` strategy, as one
            device would. `"first"` keeps what the first replica sees, as the published runs did.
        return_covariance: What a call returns besides logits, by default: False nothing, True or
            `"variance"` the diagonal of C, `"matrix"` all of it.
        seed: Integer, of the features and initial weights. Members of an ensemble need different
            ones.
        **kwargs: Keyword arguments of `keras.layers.Layer`: `name`, `dtype`. Features, precision
            and outputs are float32 under 16-bit policies.

    Call arguments:
        inputs: h, `[batch, features]`.
        training: Whether to add the batch to the precision.
        sample_weight: `[batch]`, multiplies w; 0 for rows of padding, which `fit` cannot tell the
            layer about.
        return_covariance: As above, for this call.

    Returns:
        Logits `[batch, K]`, or a pair. Its second: variances `[batch]` (`[batch, K]` for
        `"softmax"`) or a matrix `[batch, batch]` (`[K, batch, batch]`). In training it stands in
        for one, with the identity.

    Raises:
        ValueError: A setting that is not allowed, or inputs of another rank.

    Example:

    >>> import numpy as np
    >>> layer = RandomFeatureGaussianProcess(2, num_inducing=512, seed=1)
    >>> train = np.random.default_rng(0).normal(size=(200, 2)) * 0.5
    >>> layer.fit_covariance(train)
    >>> logits, variance = layer(np.array([[0.0, 0.0], [9.0, 9.0]]), return_covariance=True)
    >>> float(variance[0]) < 0.05 < 0.8 < float(variance[1])
    True

    When not to use:
        With a length-scale that does not fit the features: the variance is then the same
        everywhere. With rows of padding in training batches, except with `fit_covariance`. The
        softmax likelihood needs K D² numbers and K times the work: not for hundreds of classes.

    Migration:
        From tf-models (`tfm.nlp.layers`) and edward2: `gp_kernel_type` → `kernel_type` (no
        `"linear"`); `gp_kernel_scale` → `kernel_scale`; `gp_output_bias` → `output_bias`;
        `gp_output_bias_trainable` → `trainable_output_bias`; `gp_cov_momentum` →
        `covariance_momentum`; `gp_cov_ridge_penalty` → `ridge_penalty`; `gp_cov_likelihood` →
        `likelihood`; `l2_regularization=c` → `kernel_regularizer=keras.regularizers.L2(c)`;
        `**gp_output_kwargs` → `kernel_initializer`; `return_gp_cov` → `return_covariance="matrix"`;
        `normalize_input` and `scale_random_features` keep their names;
        `custom_random_features_initializer` → `feature_type` and `feature_stddev`:
        `RandomNormal(stddev)` is `"random"`, `OrthogonalRandomFeatures(stddev, random_norm)` is
        `"orthogonal"`. Without counterpart: `gp_kernel_scale_trainable`, activations other than
        cos, `return_random_features` (call `random_features`). `reset_covariance_matrix()` →
        `reset_covariance()`. `LaplaceRandomFeatureCovariance` is
        a layer here too, and the attribute `covariance` of this one.
        Defaults: those of tf-models, but for `covariance_momentum` (0.999 there) and no L2 (1e-6
        there). edward2 has `normalize_input=True`, ridge 1e-6, momentum 0.999 and orthogonal
        features. tf-models (and early edward2) is `ridge_in="start"`; later edward2 is
        `"inversion"`. Both are `covariance_replicas="first"`.
        From the TensorFlow tutorial: `covariance_momentum=None`, and `ResetCovariance` for its
        `ResetCovarianceCallback`.

    Reference:
        J. Liu et al., "Simple and Principled Uncertainty Estimation with Deterministic Deep
        Learning via Distance Awareness", NeurIPS 2020, arXiv 2006.10108.
    """

    def __init__(
        self,
        units: int,
        num_inducing: int = 1024,
        kernel_type: str = "gaussian",
        kernel_scale: float = 1.0,
        feature_type: str = "random",
        feature_stddev: float = 1.0,
        random_norm: bool = True,
        normalize_input: bool = False,
        scale_random_features: bool = True,
        output_bias: float = 0.0,
        trainable_output_bias: bool = False,
        kernel_initializer: Any = "glorot_uniform",
        kernel_regularizer: Any = None,
        likelihood: str = "gaussian",
        covariance_momentum: float | None = None,
        ridge_penalty: float = 1.0,
        ridge_in: str = "inversion",
        scale_covariance_by_ridge: bool = True,
        covariance_replicas: str = "all",
        return_covariance: bool | str = False,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        # Inputs are not rounded to 16 bits on the way in: cosines of large numbers need them all.
        super().__init__(**{"autocast": False, **kwargs})
        self.units = checks.whole("units", units)
        self.num_inducing = checks.whole("num_inducing", num_inducing)
        checked_features(kernel_type, feature_type)
        self.kernel_type, self.feature_type = kernel_type, feature_type
        self.kernel_scale = checks.positive("kernel_scale", kernel_scale)
        self.feature_stddev = checks.positive("feature_stddev", feature_stddev)
        self.random_norm, self.normalize_input = bool(random_norm), bool(normalize_input)
        rule = "is not used with normalize_input=True: set `feature_stddev` instead"
        checks.require(kernel_scale == 1 or not normalize_input, "kernel_scale", kernel_scale, rule)
        self.scale_random_features = bool(scale_random_features)
        self.initial_output_bias = checks.number("output_bias", output_bias)
        self.trainable_output_bias = bool(trainable_output_bias)
        self.seed = checks.whole("seed", seed, least=0)
        self.kernel_initializer = seeded_initializer(kernel_initializer, self.seed)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.return_covariance = checked_form(return_covariance)
        self.covariance = LaplaceRandomFeatureCovariance(
            covariance_momentum,
            ridge_penalty,
            ridge_in,
            scale_covariance_by_ridge,
            likelihood,
            covariance_replicas,
            dtype=self.working_dtype,
            name="covariance",
        )
        if self.normalize_input:
            named = {"name": "input_normalization", "dtype": self.working_dtype}
            self.input_normalization = keras.layers.LayerNormalization(**named)
        self.supports_masking = True

    @property
    def working_dtype(self) -> str:
        return "float64" if self.compute_dtype == "float64" else "float32"

    @property
    def precision(self) -> Tensor:
        """The precision P, a variable `[D, D]`, or `[K, D, D]` for the softmax likelihood."""
        return self.covariance.precision

    def build(self, input_shape: Shape) -> None:
        if len(input_shape) != 2 or input_shape[-1] is None:
            raise ValueError(
                "The layer takes features [batch, size] of known size: put a pooling, Flatten or "
                f"Reshape layer before it. Received: input_shape={tuple(input_shape)}"
            )
        frequencies, phases = random_feature_weights(
            input_shape[-1],
            self.num_inducing,
            self.kernel_type,
            self.feature_type,
            self.feature_stddev,
            self.random_norm,
            self.seed,
        )
        constant = keras.initializers.Constant
        self.frequencies = self._add("frequencies", frequencies.shape, constant(frequencies))
        self.phases = self._add("phases", phases.shape, constant(phases))
        shape, regularizer = (self.num_inducing, self.units), self.kernel_regularizer
        self.kernel = self._add("kernel", shape, self.kernel_initializer, True, regularizer)
        bias, trainable = constant(self.initial_output_bias), self.trainable_output_bias
        self.output_bias = self._add("output_bias", (self.units,), bias, trainable)
        if self.normalize_input:
            self.input_normalization.build(input_shape)
        rows = input_shape[0]
        self.covariance.build((rows, self.num_inducing), (rows, self.units))

    def _add(
        self,
        name: str,
        shape: Shape,
        initializer: Any,
        trainable: bool = False,
        regularizer: Any = None,
    ) -> Tensor:
        """A weight that is never rounded to 16 bits."""
        return self.add_weight(
            shape=shape,
            initializer=initializer,
            regularizer=regularizer,
            trainable=trainable,
            dtype=self.working_dtype,
            autocast=False,
            name=name,
        )

    def random_features(self, inputs: Tensor) -> Tensor:
        """Returns the features φ of inputs `[batch, size]`, `[batch, num_inducing]`."""
        inputs = ops.cast(inputs, self.working_dtype)
        if self.normalize_input:
            inputs = self.input_normalization(inputs)
        else:
            inputs = inputs / self.kernel_scale**0.5
        return random_features(inputs, self.frequencies, self.phases, self.scale_random_features)

    def reset_covariance(self) -> None:
        """Resets the precision to its initial value."""
        self.covariance.reset_covariance()

    def update_covariance(self) -> None:
        """Updates the stored root of the covariance, on the host in float64."""
        self.covariance.update_covariance()

    def fit_covariance(
        self, inputs: Any, sample_weight: Any = None, batch_size: int = 1024
    ) -> None:
        """`fit_covariance` of this layer alone, with inputs of the layer, `[examples, size]`."""
        fit_covariance(self, inputs, sample_weight=sample_weight, batch_size=batch_size)

    def _form(self, asked: bool | str | None) -> str | None:
        return self.return_covariance if asked is None else checked_form(asked)

    def call(
        self,
        inputs: Tensor,
        training: bool | None = None,
        sample_weight: Tensor | None = None,
        return_covariance: bool | str | None = None,
    ) -> Any:
        form = self._form(return_covariance)
        features = self.random_features(inputs)
        logits = ops.matmul(features, self.kernel) + self.output_bias
        settings = {"sample_weight": sample_weight, "return_covariance": form or False}
        covariance = self.covariance(features, logits, training=training, **settings)
        return logits if form is None else (logits, covariance)

    def compute_output_shape(self, input_shape: Shape) -> Any:
        outputs = self.compute_output_spec(keras.KerasTensor(input_shape))
        return keras.tree.map_structure(lambda output: output.shape, outputs)

    def compute_output_spec(
        self, inputs: Tensor, return_covariance: bool | str | None = None, **settings: Any
    ) -> Any:
        form, batch = self._form(return_covariance), inputs.shape[0]
        logits = keras.KerasTensor((batch, self.units), self.working_dtype)
        if form is None:
            return logits
        shape = self.covariance.covariance_shape(batch, form)
        return logits, keras.KerasTensor(shape, self.working_dtype)

    def get_config(self) -> dict[str, Any]:
        names = (
            *("units", "num_inducing", "kernel_type", "kernel_scale", "feature_type"),
            *("feature_stddev", "random_norm", "normalize_input", "scale_random_features"),
            *("trainable_output_bias", "seed"),
        )
        return {
            # Those of the covariance first: name and dtype are this layer's.
            **self.covariance.get_config(),
            **super().get_config(),
            **{name: getattr(self, name) for name in names},
            "output_bias": self.initial_output_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "return_covariance": self.return_covariance or False,
        }
