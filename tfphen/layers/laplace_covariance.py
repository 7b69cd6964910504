"""Layer that accumulates a Laplace precision in training and gives predictive variances."""

from typing import Any

import keras
import numpy as np
from keras import ops

import tfphen.layers.laplace_posterior as posterior
from tfphen.core import checks
from tfphen.core.types import Array, Shape, Tensor
from tfphen.layers.replicas import of_first_replica, sum_over_replicas


def checked_form(value: bool | str, name: str = "return_covariance") -> str | None:
    """Returns the form of covariance asked for, or None for none."""
    if value is None or isinstance(value, bool):
        return "variance" if value else None
    rule = 'is False, True (the same as "variance"), "variance" or "matrix"'
    return checks.require(value in posterior.FORMS, name, value, rule) and value


@keras.saving.register_keras_serializable(package="tfphen")
class LaplaceRandomFeatureCovariance(keras.layers.Layer):
    """The covariance of logits that are linear in features, by a Laplace approximation.

    In training it adds each batch to the precision P of the linear map; in inference it gives the
    variance of the logits of a batch of features Φ:

        P ← P + Σ_i w_i φ_i φ_iᵀ,  or  P ← m P + (1 - m) mean_i w_i φ_i φ_iᵀ with momentum m
        C = r Φ (P + r I)⁻¹ Φᵀ,  variance = diag(C)

    It is the covariance half of `RandomFeatureGaussianProcess`, where its settings are explained;
    on its own it works on any features, such as those of the last hidden layer.

    Args:
        covariance_momentum: None (or a negative number) for the sum, or m in (0, 1).
        ridge_penalty: r.
        ridge_in: `"inversion"` or `"start"`.
        scale_covariance_by_ridge: Whether C has its leading factor r.
        likelihood: `"gaussian"`, `"binary_logistic"`, `"poisson"` or `"softmax"`.
        covariance_replicas: `"all"` or `"first"`.
        return_covariance: What a call returns by default: `"variance"` (or True), `"matrix"`, or
            False for None.
        **kwargs: Keyword arguments of `keras.layers.Layer`: `name`, `dtype` (16-bit policies
            compute in float32).

    Call arguments:
        features: Φ, `[batch, D]`.
        logits: `[batch, K]`; the Gaussian likelihood does without.
        training: Whether to add the batch to the precision.
        sample_weight: `[batch]`, multiplies w.
        return_covariance: As above, for this call.

    Returns:
        None, variances `[batch]` (`[batch, K]` for `"softmax"`) or a matrix `[batch, batch]`
        (`[K, batch, batch]`); those of the identity in training.

    Raises:
        ValueError: A setting that is not allowed; a likelihood that lacks its logits.

    Example:

    >>> layer = LaplaceRandomFeatureCovariance(ridge_penalty=0.5)
    >>> _ = layer(np.eye(2), training=True)
    >>> float(layer(np.eye(2))[0])  # 0.5 / (1 + 0.5)
    0.33333...

    When not to use:
        In the middle of a network: the approximation is about a linear map to the logits.

    Migration:
        From `LaplaceRandomFeatureCovariance` of edward2 and tf-models: `momentum` →
        `covariance_momentum`; `ridge_penalty` and `likelihood` keep their names; add
        `return_covariance="matrix"`, and see `RandomFeatureGaussianProcess` for the defaults that
        differ.

    Reference:
        J. Liu et al., "Simple and Principled Uncertainty Estimation with Deterministic Deep
        Learning via Distance Awareness", NeurIPS 2020, arXiv 2006.10108, section 3.1.
    """

    def __init__(
        self,
        covariance_momentum: float | None = None,
        ridge_penalty: float = 1.0,
        ridge_in: str = "inversion",
        scale_covariance_by_ridge: bool = True,
        likelihood: str = "gaussian",
        covariance_replicas: str = "all",
        return_covariance: bool | str = "variance",
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"autocast": False, **kwargs})
        momentum: Any = covariance_momentum
        if checks.is_number(momentum) and momentum < 0:
            momentum = None
        rule = "is None or negative, for a sum, or a number in (0, 1)"
        allowed = momentum is None or (checks.is_number(momentum, 0) and momentum < 1)
        self.covariance_momentum = checks.require(allowed, "covariance_momentum", momentum, rule)
        self.ridge_penalty = checks.positive("ridge_penalty", ridge_penalty)
        self.ridge_in = checks.one_of("ridge_in", ridge_in, ("inversion", "start"))
        self.scale_covariance_by_ridge = bool(scale_covariance_by_ridge)
        self.likelihood = checks.one_of("likelihood", likelihood, posterior.LIKELIHOODS)
        self.covariance_replicas = checks.one_of(
            "covariance_replicas", covariance_replicas, ("all", "first")
        )
        self.return_covariance = checked_form(return_covariance)
        # Whether calls in inference gather too, as they do in `fit_covariance`, and their weights.
        self.gathering, self.gathering_weight = False, None
        self.classes = None

    @property
    def working_dtype(self) -> str:
        return "float64" if self.compute_dtype == "float64" else "float32"

    def build(
        self,
        features_shape: Shape,
        logits_shape: Shape | None = None,
        sample_weight_shape: Shape | None = None,
    ) -> None:
        size, classes = features_shape[-1], None
        if self.likelihood != "gaussian":
            if logits_shape is None:
                raise ValueError(
                    f"The likelihood {self.likelihood!r} needs the logits: call the layer with "
                    "`logits`. Received: logits=None"
                )
            classes = logits_shape[-1]
        if self.likelihood in ("binary_logistic", "poisson"):
            rule = f'must end in one unit for the likelihood {self.likelihood!r} (or use "softmax")'
            checks.require(classes == 1, "logits", logits_shape, rule)
            classes = None
        self.classes = classes
        stack = () if classes is None else (classes,)
        frozen = {"trainable": False, "dtype": self.working_dtype, "autocast": False}

        def start(shape: Shape, dtype: Any) -> Tensor:
            return ops.convert_to_tensor(self._start(shape), dtype)

        square = (*stack, size, size)
        self.precision = self.add_weight(
            shape=square, initializer=start, name="precision", **frozen
        )
        # The root of the covariance, and entries of the precision that it was computed from.
        self.root = self.add_weight(shape=square, initializer="zeros", name="root", **frozen)
        # No diagonal is negative, so nothing was computed yet.
        never = keras.initializers.Constant(-1.0)
        self.root_of = self.add_weight(
            shape=(*stack, 2, size), initializer=never, name="root_of", **frozen
        )

    def _start(self, shape: Shape) -> Array:
        ridge = self.ridge_penalty if self.ridge_in == "start" else 0.0
        return np.broadcast_to(ridge * np.eye(shape[-1]), shape)

    def reset_covariance(self) -> None:
        """Resets the precision to its initial value."""
        self.precision.assign(self._start(tuple(self.precision.shape)))

    def update_covariance(self) -> None:
        """Computes the root of the covariance on the host in float64, if it is out of date."""
        precision = ops.convert_to_numpy(ops.convert_to_tensor(self.precision))
        entries = np.stack([np.diagonal(precision, axis1=-2, axis2=-1), precision[..., 0, :]], -2)
        if np.array_equal(entries, ops.convert_to_numpy(ops.convert_to_tensor(self.root_of))):
            return
        root, added = posterior.covariance_root_on_host(precision, self._added(precision))
        self.root.assign((root * self._scale(added) ** 0.5).astype(self.working_dtype))
        self.root_of.assign(entries)

    def _added(self, precision: Tensor) -> Tensor:
        decays = self.covariance_momentum is not None
        start = self.ridge_in == "start"
        return posterior.added_ridge(precision, self.ridge_penalty, start, decays)

    def _scale(self, added: Tensor) -> Tensor:
        """The leading factor r: where rounding raised the ridge, that of both places."""
        if not self.scale_covariance_by_ridge:
            return 1.0
        return self.ridge_penalty if self.ridge_in == "start" else added

    def _current_root(self) -> Tensor:
        """The stored root where the precision is still the one it was computed from."""
        precision = ops.convert_to_tensor(self.precision)
        # Entries are compared, not a checksum: sums differ with the order of their terms.
        entries = ops.stack(
            [ops.diagonal(precision, axis1=-2, axis2=-1), precision[..., 0, :]], axis=-2
        )

        def compute() -> Tensor:
            added = self._added(precision)
            root = posterior.covariance_root(precision, added)
            return ops.cast(root * ops.cast(self._scale(added), root.dtype) ** 0.5, precision.dtype)

        return ops.cond(
            ops.all(ops.equal(entries, ops.convert_to_tensor(self.root_of))),
            lambda: ops.convert_to_tensor(self.root),
            compute,
        )

    def gather(
        self, features: Tensor, logits: Tensor | None = None, sample_weight: Tensor | None = None
    ) -> None:
        """Adds a batch to the precision; what it does to gradients is nothing."""
        features = ops.stop_gradient(features)
        weights = None
        if self.likelihood != "gaussian":
            logits = ops.cast(ops.stop_gradient(logits), features.dtype)
            weights = posterior.curvature(logits, self.likelihood)
        count = ops.cast(ops.shape(features)[0], features.dtype)
        if sample_weight is not None:
            sample_weight = ops.cast(sample_weight, features.dtype)
            count = ops.sum(sample_weight)
            by_row = sample_weight if self.classes is None else ops.expand_dims(sample_weight, -1)
            weights = by_row if weights is None else weights * by_row
        added = posterior.precision_of(features, weights)
        pooled = self.covariance_replicas == "all"
        if pooled:
            added, count = sum_over_replicas(added), sum_over_replicas(count)
        if self.covariance_momentum is None or self.gathering:
            self.precision.assign_add(added if pooled else of_first_replica(added))
            return
        mean = added / ops.maximum(count, keras.config.epsilon())
        # A batch of nothing but padding leaves the average as it is.
        share = ops.cast(count > 0, mean.dtype) * (1.0 - self.covariance_momentum)
        new = (1.0 - share) * ops.convert_to_tensor(self.precision) + share * mean
        self.precision.assign(new if pooled else of_first_replica(new))

    def _form(self, asked: bool | str | None) -> str | None:
        return self.return_covariance if asked is None else checked_form(asked)

    def call(
        self,
        features: Tensor,
        logits: Tensor | None = None,
        training: bool | None = None,
        sample_weight: Tensor | None = None,
        return_covariance: bool | str | None = None,
    ) -> Tensor:
        form = self._form(return_covariance)
        features = ops.cast(features, self.working_dtype)
        if training or self.gathering:
            weight = self.gathering_weight if self.gathering else sample_weight
            self.gather(features, logits, weight)
        if form is None:
            return None
        if training:
            return posterior.placeholder(features, self.classes, form)
        return posterior.predictive_covariance(features, self._current_root(), form)

    def covariance_shape(self, batch: int | None, form: str | None) -> Shape | None:
        """The shape of a covariance of this form, or None for none."""
        classes = self.classes
        if form is None:
            return None
        if form == "matrix":
            return (batch, batch) if classes is None else (classes, batch, batch)
        return (batch,) if classes is None else (batch, classes)

    def compute_output_shape(
        self,
        features_shape: Shape,
        logits_shape: Shape | None = None,
        sample_weight_shape: Shape | None = None,
    ) -> Shape | None:
        return self.covariance_shape(features_shape[0], self.return_covariance)

    def compute_output_spec(
        self,
        features: Tensor,
        logits: Tensor | None = None,
        return_covariance: bool | str | None = None,
        **settings: Any,
    ) -> Any:
        shape = self.covariance_shape(features.shape[0], self._form(return_covariance))
        return None if shape is None else keras.KerasTensor(shape, dtype=self.working_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "covariance_momentum": self.covariance_momentum,
            "ridge_penalty": self.ridge_penalty,
            "ridge_in": self.ridge_in,
            "scale_covariance_by_ridge": self.scale_covariance_by_ridge,
            "likelihood": self.likelihood,
            "covariance_replicas": self.covariance_replicas,
            "return_covariance": self.return_covariance or False,
        }
