"""Stock Keras layers with the initializers and constants of Keras or PyTorch.

Every initializer and every dropout gets an integer seed here: a layer without one draws it from
Python's global generator. Initializers stay standard ones, so that whoever draws initial weights
elsewhere finds their distributions on the layers.
"""

import inspect
import math
import numbers
from collections.abc import Mapping
from typing import Any, TypeAlias

import keras

from tfphen.core import checks, seeds
from tfphen.core.errors import UsageError, nearest
from tfphen.core.types import Tensor
from tfphen.layers.normalized_dense import NormalizedDense

DEFAULTS = ("keras", "torch")

InitializerSetting: TypeAlias = str | Mapping[str, Any] | keras.initializers.Initializer


def seeded_initializer(
    setting: InitializerSetting, seed: int, what: str = "kernel_initializer"
) -> keras.initializers.Initializer:
    """Returns a Keras initializer with an explicit seed.

    Args:
        setting: A Keras name such as `"he_normal"`; a mapping of `"name"` and the initializer's
            settings, such as `{"name": "random_normal", "stddev": 0.02}`; or an initializer, of
            which a copy with another seed is returned.
        seed: The seed, used where the initializer draws random numbers.
        what: Name of the argument, for the message.

    Raises:
        UsageError: Keras has no initializer of that name, or it lacks one of the settings.
    """
    if isinstance(setting, keras.initializers.Initializer):
        make: Any = type(setting)
        settings = setting.get_config()
        settings.pop("seed", None)
    else:
        settings = dict(setting) if isinstance(setting, Mapping) else {"name": setting}
        name = settings.pop("name", None)
        make = getattr(keras.initializers, name, None) if isinstance(name, str) else None
        if not (isinstance(make, type) and issubclass(make, keras.initializers.Initializer)):
            known = [key for key in dir(keras.initializers) if key[0].islower()]
            raise UsageError(
                f"`{what}` is the name of a Keras initializer, such as 'he_normal', or a mapping "
                f"of its name and settings.{nearest(str(name), known)} Received: {setting!r}"
            )
    if "seed" in settings:
        raise UsageError(
            f"`{what}` has no seed of its own; the model has one. Received: {setting!r}"
        )
    if "seed" in inspect.signature(make).parameters:
        settings["seed"] = seed
    try:
        return make(**settings)
    except (TypeError, ValueError) as error:
        raise UsageError(f"`{what}`: {error} Received: {setting!r}") from None


class LayerDefaults:
    """Builds and applies stock layers with the defaults of one library.

    Args:
        defaults: `"keras"`: Glorot uniform kernels, zero biases, batch normalization with momentum
            .99 and epsilon 1e-3, layer normalization with epsilon 1e-3. `"torch"`: kernels and
            biases uniform in ±1/sqrt(fan in), batch normalization with momentum .9 (in the
            convention of Keras) and epsilon 1e-5, layer normalization with epsilon 1e-5.
        seed: Seed from which that of each layer is derived.
        kernel_initializer: Default initializer of all kernels, see `seeded_initializer`; None uses
            that of `defaults`.

    Raises:
        UsageError: `defaults` is neither.
    """

    def __init__(
        self, defaults: str, seed: int, kernel_initializer: InitializerSetting | None = None
    ) -> None:
        if defaults not in DEFAULTS:
            raise UsageError(
                f'`defaults` is "keras" or "torch".{nearest(str(defaults), DEFAULTS)} '
                f"Received: defaults={defaults!r}"
            )
        self.torch = defaults == "torch"
        self._kernel = kernel_initializer
        self._seed, self._number = seed, 0

    def next_seed(self) -> int:
        """Returns a new seed at each call, in a fixed order determined by `seed`."""
        self._number += 1
        return int(seeds.key(self._seed, "keras_layers", self._number)[0] % 2**31)

    def initializers(self, fan_in: int, kernel: InitializerSetting | None = None) -> dict[str, Any]:
        """Returns the arguments `kernel_initializer` and `bias_initializer` of a layer."""
        default: InitializerSetting = "glorot_uniform"
        bias: InitializerSetting = "zeros"
        if self.torch:
            bound = 1.0 / math.sqrt(fan_in)
            bias = {"name": "random_uniform", "minval": -bound, "maxval": bound}
            # Uniform up to sqrt(3 * scale / fan_in), with the fan in of each kernel.
            default = {
                "name": "variance_scaling",
                "scale": 1.0 / 3.0,
                "mode": "fan_in",
                "distribution": "uniform",
            }
        kernel = kernel or self._kernel or default
        return {
            "kernel_initializer": seeded_initializer(kernel, self.next_seed()),
            "bias_initializer": seeded_initializer(bias, self.next_seed(), "bias_initializer"),
        }

    def dense(self, units: int, inputs: Tensor, name: str, **settings: Any) -> Tensor:
        """Applies a `Dense` layer."""
        start = self.initializers(inputs.shape[-1], settings.pop("kernel_initializer", None))
        return keras.layers.Dense(units, name=name, **{**start, **settings})(inputs)

    def convolution(
        self, filters: int, kernel_size: int, inputs: Tensor, name: str, **settings: Any
    ) -> Tensor:
        """Applies a `Conv1D` or `Conv2D`, by the rank of `inputs`.

        Args:
            filters: Number of output channels.
            kernel_size: Size of the kernel in every direction.
            inputs: `[batch, steps, channels]` or `[batch, rows, columns, channels]`.
            name: Name of the layer.
            **settings: Keyword arguments of the Keras layer. `padding` may be an integer: that many
                zeros on both sides, as in PyTorch. With strides, `padding="same"` would shift the
                windows.
        """
        rank = len(inputs.shape) - 2
        padding = settings.pop("padding", 0)
        if isinstance(padding, int) and padding > 0:
            pad = keras.layers.ZeroPadding1D if rank == 1 else keras.layers.ZeroPadding2D
            inputs = pad(padding, name=f"{name}_padding")(inputs)
        settings["padding"] = "valid" if isinstance(padding, int) else padding
        make = keras.layers.Conv1D if rank == 1 else keras.layers.Conv2D
        start = self.initializers(inputs.shape[-1] * kernel_size**rank)
        return make(filters, kernel_size, name=name, **{**start, **settings})(inputs)

    def batch_normalization(self, inputs: Tensor, name: str, **settings: Any) -> Tensor:
        """Applies a `BatchNormalization` over all axes but the channels."""
        constants = {"momentum": 0.9, "epsilon": 1e-5} if self.torch else {}
        return keras.layers.BatchNormalization(name=name, **{**constants, **settings})(inputs)

    def layer_normalization(self, inputs: Tensor, name: str) -> Tensor:
        """Applies a `LayerNormalization` over the last axis."""
        constants = {"epsilon": 1e-5} if self.torch else {}
        return keras.layers.LayerNormalization(name=name, **constants)(inputs)

    def activated_convolution(
        self,
        filters: int,
        kernel_size: int,
        inputs: Tensor,
        name: str,
        normalize: bool = True,
        **settings: Any,
    ) -> Tensor:
        """Applies a convolution, batch normalization and ReLU, as `name`, `name_norm`, `name_relu`.

        Args:
            filters: As in `convolution`.
            kernel_size: As in `convolution`.
            inputs: As in `convolution`.
            name: Name of the convolution.
            normalize: Whether there is a batch normalization between the two.
            **settings: As in `convolution`.
        """
        x = self.convolution(filters, kernel_size, inputs, name, **settings)
        if normalize:
            x = self.batch_normalization(x, f"{name}_norm")
        return keras.layers.ReLU(name=f"{name}_relu")(x)

    def normalized_relu(self, inputs: Tensor, name: str) -> Tensor:
        """Applies batch normalization and ReLU, as `name_norm` and `name_relu`."""
        x = self.batch_normalization(inputs, f"{name}_norm")
        return keras.layers.ReLU(name=f"{name}_relu")(x)

    def embedding(self, vocabulary_size: int, width: int, inputs: Tensor, name: str) -> Tensor:
        """Applies an `Embedding`: N(0, 1) for `"torch"`, uniform in ±.05 for `"keras"`."""
        setting: InitializerSetting = {"name": "random_uniform", "minval": -0.05, "maxval": 0.05}
        if self.torch:
            setting = {"name": "random_normal", "stddev": 1.0}
        start = seeded_initializer(setting, self.next_seed(), "embeddings_initializer")
        return keras.layers.Embedding(
            vocabulary_size, width, embeddings_initializer=start, name=name
        )(inputs)

    def dropout(self, rate: float, inputs: Tensor, name: str, filterwise: bool = False) -> Tensor:
        """Applies a `Dropout`, or a `SpatialDropout2D` where whole channels are dropped."""
        make = keras.layers.SpatialDropout2D if filterwise else keras.layers.Dropout
        return make(rate, seed=self.next_seed(), name=name)(inputs)


def image_inputs(
    input_shape: tuple[int, ...], what: str, smallest: int = 1
) -> tuple[Tensor, Tensor]:
    """Returns (model inputs, the same with a channel axis) for images with or without channels.

    Args:
        input_shape: `(rows, columns)` or `(rows, columns, channels)`.
        what: Name of the builder, for the messages.
        smallest: Least number of rows and of columns.

    Raises:
        UsageError: `input_shape` is not that of an image, or of one that is too small.
    """
    received = f"Received: input_shape={tuple(input_shape)}"
    if len(input_shape) not in (2, 3):
        raise UsageError(
            f"`{what}` takes images, (rows, columns) or (rows, columns, channels). {received}"
        )
    if not all(isinstance(size, numbers.Integral) and size > 0 for size in input_shape):
        raise UsageError(f"`{what}` takes images of a fixed size. {received}")
    if min(input_shape[:2]) < smallest:
        raise UsageError(f"`{what}` takes images of at least {smallest} by {smallest}. {received}")
    inputs = keras.Input(input_shape, name="inputs")
    if len(input_shape) == 2:
        return inputs, keras.layers.Reshape((*input_shape, 1), name="channel_axis")(inputs)
    return inputs, inputs


def token_inputs(input_shape: tuple[int, ...], what: str) -> Tensor:
    """Returns the model inputs for sequences of token ids, int32.

    Raises:
        UsageError: `input_shape` is not `(steps,)`.
    """
    if len(input_shape) != 1 or not isinstance(input_shape[0], numbers.Integral):
        raise UsageError(
            f"`{what}` takes sequences of token numbers of a fixed length, (steps,). "
            f"Received: input_shape={tuple(input_shape)}"
        )
    return keras.Input(input_shape, dtype="int32", name="inputs")


def classifier(
    features: Tensor,
    num_classes: int,
    layer_defaults: LayerDefaults,
    head: str = "linear",
    **settings: Any,
) -> Tensor:
    """Ends a model: names its last activations `"features"` and applies the layer `"logits"`.

    With `head="cosine"` that is a `tfphen.layers.NormalizedDense` without bias.
    """
    checks.wholes(num_classes=num_classes)
    checks.one_of("head", head, ("linear", "cosine"))
    features = keras.layers.Identity(name="features")(features)
    if head == "cosine":
        seed = layer_defaults.next_seed()
        return NormalizedDense(num_classes, seed=seed, name="logits")(features)
    return layer_defaults.dense(num_classes, features, "logits", **settings)
