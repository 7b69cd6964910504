"""SNGP: any backbone with spectrally normalized layers and a Gaussian process output layer."""

import copy
from typing import Any

import keras

from tfphen.layers.covariance_reset import (
    ResetCovariance,
    fit_covariance,
    update_covariance,
)
from tfphen.layers.mean_field import MEAN_FIELD_PROBIT, MeanFieldLogits
from tfphen.layers.random_feature_gaussian_process import RandomFeatureGaussianProcess
from tfphen.layers.spectrally_normalized_clone import spectrally_normalized_clone


def _features_of(backbone: keras.Model, features: str | None) -> keras.Model:
    """The part of the backbone that ends in the features `[batch, size]`."""
    functional = isinstance(backbone, keras.Model) and getattr(backbone, "inputs", None)
    if not functional:
        raise ValueError(
            "`backbone` is a functional or Sequential model with inputs of known shape: its layers "
            f"are copied one by one. Received: backbone of type {type(backbone).__name__}"
        )
    if features is not None:
        names = [layer.name for layer in backbone.layers]
        if features not in names:
            raise ValueError(
                "`features` is None or the name of a layer of the backbone, of which there are "
                f"{', '.join(names)}. Received: features={features!r}"
            )
        outputs = backbone.get_layer(features).output
        sequential = isinstance(backbone, keras.Sequential)
        inputs = backbone.inputs[0] if sequential else backbone.input
        backbone = keras.Model(inputs, outputs, name=backbone.name)
    elif isinstance(backbone, keras.Sequential):
        backbone = keras.Model(backbone.inputs[0], backbone.outputs[0], name=backbone.name)
    if len(backbone.outputs) != 1 or len(backbone.output_shape) != 2:
        raise ValueError(
            "The `backbone` gives features, one output of shape [batch, size]: end it in a pooling "
            "or Flatten layer, or name the layer that holds them by `features`. "
            f"Received: backbone with the output shape {backbone.output_shape}"
        )
    return backbone


def _without_object_ids(config: Any) -> Any:
    """A configuration without the numbers that Keras gives objects while it reads a file."""
    if isinstance(config, dict):
        kept = {key: value for key, value in config.items() if key != "shared_object_id"}
        return {key: _without_object_ids(value) for key, value in kept.items()}
    if isinstance(config, (list, tuple)):
        return type(config)(_without_object_ids(value) for value in config)
    return config


@keras.saving.register_keras_serializable(package="tfphen")
class SNGP(keras.Model):
    """A spectral-normalized neural Gaussian process made from any functional backbone.

    The backbone is copied with its weights, its dense and convolution layers are bounded by
    `SpectralNormalization`, so that distances between hidden features keep following those
    between inputs, and a `RandomFeatureGaussianProcess` reads its features. One network, one
    forward pass; its confidence falls away from the training data.

    `fit` sees plain logits (use a loss with `from_logits=True`) and starts each epoch with a reset
    precision, without an additional callback. `predict`, `evaluate` and calls in inference give
    logits divided by √(1 + λ variance), whose softmax is the predictive distribution.
    `variance_model()` gives logits and variances, and `fit_covariance(x)` computes the precision
    again in inference mode with the final weights, which is better than the last epoch's.

    Args:
        backbone: A functional or Sequential model that ends in features `[batch, size]`.
        num_classes: Number of logits.
        features: None, or the name of the backbone's layer that holds the features; the layers
            after it, such as a classifier, are left out. (`"features"` in all of
            `tfphen.models`.)
        norm_multiplier: Bound of the norm of each layer; None for no spectral normalization. The
            published networks have 0.9 to 6.
        power_iterations: Power iterations of spectral normalization per training step.
        num_inducing: Number of random features.
        mean_field_factor: λ; None or negative: predictions are plain logits.
        gaussian_process: Other settings of `RandomFeatureGaussianProcess`, a dictionary, such as
            `{"feature_stddev": 0.05}`.
        seed: Integer seed of the Gaussian process.
        name: Name of the model.
        **kwargs: Keyword arguments of `keras.Model`: `trainable`.

    Call arguments:
        inputs: Inputs of the backbone.
        training: Whether to give plain logits and add the batch to the precision.

    Returns:
        Logits, `[batch, num_classes]`.

    Raises:
        ValueError: A backbone that is not functional, or whose features have another rank; an
            invalid setting.

    Example:

    >>> backbone = keras.Sequential([keras.Input((2,)), keras.layers.Dense(16, "relu")])
    >>> model = SNGP(backbone, 3, num_inducing=64)
    >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    >>> model.compile("adam", loss, metrics=["accuracy"])
    >>> x, y = keras.ops.ones((32, 2)), keras.ops.zeros((32,), "int32")
    >>> _ = model.fit(x, y, verbose=0)
    >>> model.fit_covariance(x)
    >>> logits, variance = model.variance_model().predict(x, verbose=0)
    >>> logits.shape, variance.shape
    ((32, 3), (32,))

    When not to use:
        To improve accuracy, which stays the same. With features whose distances the kernel's
            length-scale
        does not fit (see `RandomFeatureGaussianProcess`), where detection of unfamiliar inputs can
        be worse than with 1 - max p of the plain network. In a loop of `train_on_batch`: call
        `reset_covariance()` there at the start of each pass.

    Migration:
        From the TensorFlow tutorial's `DeepResNetSNGP`: pass the network without its last layer;
        `ResetCovarianceCallback` and the `mean_field_logits` call are built in. From
        uncertainty-baselines' `wide_resnet_sngp`: `spec_norm_bound=6` → `norm_multiplier=6`,
        `gp_mean_field_factor=20` → `mean_field_factor=20`, and `gaussian_process=` with
        `feature_type="orthogonal"`, `feature_stddev=0.05`, `scale_random_features=False`.

    Reference:
        J. Liu et al., "Simple and Principled Uncertainty Estimation with Deterministic Deep
        Learning via Distance Awareness", NeurIPS 2020, arXiv 2006.10108.
    """

    def __init__(
        self,
        backbone: keras.Model,
        num_classes: int,
        features: str | None = None,
        norm_multiplier: float = 0.95,
        power_iterations: int = 1,
        num_inducing: int = 1024,
        mean_field_factor: float | None = MEAN_FIELD_PROBIT,
        gaussian_process: dict[str, Any] | None = None,
        seed: int = 0,
        name: str = "sngp",
        **kwargs: Any,
    ) -> None:
        backbone = _features_of(backbone, features)
        settings = {
            "num_inducing": num_inducing,
            "seed": seed,
            "return_covariance": "variance",
            **(gaussian_process or {}),
        }
        if settings["return_covariance"] not in (True, "variance"):
            raise ValueError(
                "The predictions need variances: leave `return_covariance` out of "
                f"`gaussian_process`. Received: gaussian_process={gaussian_process!r}"
            )
        bounded = spectrally_normalized_clone(backbone, norm_multiplier, power_iterations)
        head = RandomFeatureGaussianProcess(num_classes, name="gaussian_process", **settings)
        mean_field = MeanFieldLogits(mean_field_factor, name="logits")
        inputs = keras.tree.map_structure(
            lambda x: keras.Input(batch_shape=x.shape, dtype=x.dtype, name=x.name), bounded.input
        )
        logits_and_variance = head(bounded(inputs))
        super().__init__(inputs, mean_field(logits_and_variance), name=name, **kwargs)
        self.backbone, self.head = bounded, head
        self._symbolic = (inputs, tuple(logits_and_variance))
        # The backbone as it was given: what a reloaded model is built from. In a tuple, because
        # Keras would take lists and dictionaries in attributes apart.
        self._settings = (
            {
                "backbone": _without_object_ids(keras.saving.serialize_keras_object(backbone)),
                "num_classes": num_classes,
                "norm_multiplier": norm_multiplier,
                "power_iterations": power_iterations,
                "num_inducing": num_inducing,
                "mean_field_factor": mean_field_factor,
                "gaussian_process": copy.deepcopy(gaussian_process),
                "seed": seed,
            },
        )

    def variance_model(self) -> keras.Model:
        """Returns a model that shares all weights and gives logits and their variances.

        Logits are `[batch, num_classes]`, before the mean-field adjustment; variances `[batch]`,
        or `[batch, num_classes]` with the softmax likelihood.
        """
        self.update_covariance()
        inputs, outputs = self._symbolic
        return keras.Model(inputs, list(outputs), name=f"{self.name}_variance")

    def reset_covariance(self) -> None:
        """Resets the precision to its initial value."""
        self.head.reset_covariance()

    def update_covariance(self) -> None:
        """Updates the stored root of the covariance, on the host in float64."""
        update_covariance(self)

    def fit_covariance(
        self, x: Any, sample_weight: Any = None, batch_size: int = 128, steps: int | None = None
    ) -> None:
        """Sets the precision to the exact sum over these inputs; see `fit_covariance`."""
        fit_covariance(self, x, sample_weight, batch_size, steps)

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """`keras.Model.fit`, with a `ResetCovariance` callback added if absent."""
        if isinstance(callbacks, keras.callbacks.CallbackList):
            present = callbacks.callbacks
        else:
            present = callbacks = list(keras.tree.flatten(callbacks or []))
        if not any(isinstance(callback, ResetCovariance) for callback in present):
            reset = ResetCovariance()
            reset.set_model(self)
            present.append(reset)
        return super().fit(x, y, batch_size, epochs, verbose, callbacks, *args, **kwargs)

    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """`keras.Model.evaluate`, after computing the root of the covariance once."""
        self.update_covariance()
        return super().evaluate(*args, **kwargs)

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """`keras.Model.predict`, after computing the root of the covariance once."""
        self.update_covariance()
        return super().predict(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {
            **copy.deepcopy(self._settings[0]),
            "name": self.name,
            "trainable": self.trainable,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Any:
        # Deserialization takes parts out of the configuration that it is given.
        config = copy.deepcopy(config)
        backbone = keras.saving.deserialize_keras_object(
            config.pop("backbone"), custom_objects=custom_objects
        )
        return cls(backbone, **config)
