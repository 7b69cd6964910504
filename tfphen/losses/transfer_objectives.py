"""The nine training objectives of a transfer study: loss, last layer, and prediction.

Seven differ from softmax cross-entropy in the loss, two in the last layer alone. Each comes with
the hyperparameters that were released for ResNet-50 on ImageNet.

Reference:
    S. Kornblith, T. Chen, H. Lee, M. Norouzi, "Why Do Better Loss Functions Lead to Less
    Transferable Features?", NeurIPS 2021, arXiv 2010.16402.
"""

import dataclasses
import functools
import types
from collections.abc import Callable, Mapping
from typing import Any

import keras

from tfphen.core import checks, seeds
from tfphen.core.errors import nearest
from tfphen.core.types import Tensor, TensorLike
from tfphen.layers.normalized_dense import NormalizedDense
from tfphen.losses.cosine_softmax import CosineSoftmaxCrossentropy
from tfphen.losses.label_smoothing import LabelSmoothedCrossentropy
from tfphen.losses.logit_normalization import LogitNormalizedCrossentropy, normalized_logits
from tfphen.losses.logit_penalty import LogitPenaltyCrossentropy
from tfphen.losses.sigmoid_crossentropy import SigmoidCrossentropy, shifted_logits
from tfphen.losses.sparse_labels import in_float32
from tfphen.losses.squared_error import SquaredErrorLoss

_SoftmaxCrossentropy = functools.partial(
    keras.losses.SparseCategoricalCrossentropy, from_logits=True
)
# What a last layer can be told; all other settings of an objective are those of its loss.
_HEAD_SETTINGS = ("rate", "l2", "normalize_features")


def _no_change(outputs: Tensor) -> Tensor:
    return in_float32(outputs)


@dataclasses.dataclass(frozen=True)
class TransferObjective:
    """One of the nine objectives with its settings. Made by `transfer_objective`.

    Attributes:
        name: Key in `TRANSFER_OBJECTIVES`.
        settings: Hyperparameters by name.
        make_loss: Gives the Keras loss, from those settings that are not of the last layer.
        make_prediction: Gives the logits to predict from, from outputs and the loss's settings.
        cosine: Whether the last layer gives cosines.
        loss: The Keras loss of integer labels and the outputs of `head`.
    """

    name: str
    settings: Mapping[str, float | bool]
    make_loss: Callable[..., keras.losses.Loss] = _SoftmaxCrossentropy
    make_prediction: Callable[..., Tensor] = _no_change
    cosine: bool = False
    loss: keras.losses.Loss = dataclasses.field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        rules: dict[str, Callable[..., float | bool]] = {
            "rate": functools.partial(checks.number, low=0, high=1, high_open=True),
            "l2": functools.partial(checks.number, low=0),
            "normalize_features": lambda name, value: bool(value),
        }
        settings = {
            name: rules[name](name, value) if name in rules else value
            for name, value in self.settings.items()
        }
        object.__setattr__(self, "settings", types.MappingProxyType(settings))
        object.__setattr__(self, "loss", self.make_loss(**self._of_loss()))

    def _of_loss(self) -> dict[str, Any]:
        return {k: v for k, v in self.settings.items() if k not in _HEAD_SETTINGS}

    def head(
        self,
        features: Tensor,
        num_classes: int,
        seed: int,
        kernel_initializer: keras.initializers.Initializer | None = None,
        name: str = "logits",
    ) -> Tensor:
        """Applies the last layer to penultimate features, in a functional Keras model.

        Args:
            features: h, a Keras tensor or a tensor, `[batch, d]`.
            num_classes: Number of classes K.
            seed: Integer from which the seeds of the kernel and of dropout are derived.
            kernel_initializer: A Keras initializer with a seed of its own; None for Glorot
                uniform, or for columns of length one where the layer gives cosines. The published
                networks start from `RandomNormal(stddev=0.01)`.
            name: Name of the layer with the kernel.

        Returns:
            Outputs for `loss`, `[batch, K]`.

        Raises:
            ValueError: `num_classes` is no positive integer, or `seed` is negative.
        """
        num_classes = checks.whole("num_classes", num_classes)
        # 31 bits: under PyTorch Keras keeps the seed of a dropout in a signed integer.
        words = seeds.sequence(seed, "transfer_head").generate_state(2)
        kernel, dropout = (int(word) >> 1 for word in words)
        if self.cosine:
            layer = NormalizedDense(
                num_classes,
                use_bias=True,
                normalize_features=bool(self.settings["normalize_features"]),
                kernel_initializer=kernel_initializer,
                seed=kernel,
                name=name,
            )
            return layer(features)
        if "rate" in self.settings:
            drop = keras.layers.Dropout(self.settings["rate"], seed=dropout, name=f"{name}_dropout")
            features = drop(features)
        penalty = None
        if "l2" in self.settings:
            # Keras's L2 has no factor 1/2. The penalty is in the model, so it is added once.
            penalty = keras.regularizers.L2(self.settings["l2"] / 2)
        layer = keras.layers.Dense(
            num_classes,
            kernel_initializer=kernel_initializer or keras.initializers.GlorotUniform(seed=kernel),
            kernel_regularizer=penalty,
            name=name,
        )
        return layer(features)

    def prediction_logits(self, outputs: TensorLike) -> Tensor:
        """Returns the logits to predict from, `[..., K]`, of outputs `[..., K]` of `head`.

        They are normalized or divided by the temperature where the loss does so. Their argmax is
        that of the outputs. Their softmax is the model's posterior, except for `"sigmoid"`, whose
        classes have one sigmoid each, and `"squared_error"`, which has no probabilities.
        """
        of_loss = {k: v for k, v in self._of_loss().items() if k == "temperature"}
        return self.make_prediction(outputs, **of_loss)


def _divided(outputs: Tensor, temperature: float) -> Tensor:
    return in_float32(outputs) / temperature


# Hyperparameters as released for ResNet-50 on ImageNet, K = 1000 classes and d = 2048 features.
TRANSFER_OBJECTIVES: Mapping[str, TransferObjective] = types.MappingProxyType(
    {
        objective.name: objective
        for objective in (
            TransferObjective("softmax", {}),
            TransferObjective("label_smoothing", {"alpha": 0.1}, LabelSmoothedCrossentropy),
            TransferObjective("dropout", {"rate": 0.3}),
            TransferObjective("final_layer_l2", {"l2": 8e-4}),
            TransferObjective("logit_penalty", {"beta": 6e-4}, LogitPenaltyCrossentropy),
            TransferObjective(
                "logit_normalization",
                {"temperature": 0.04},
                LogitNormalizedCrossentropy,
                normalized_logits,
            ),
            TransferObjective(
                "cosine_softmax",
                {"temperature": 0.05, "normalize_features": True},
                CosineSoftmaxCrossentropy,
                _divided,
                cosine=True,
            ),
            TransferObjective("sigmoid", {}, SigmoidCrossentropy, shifted_logits),
            TransferObjective(
                "squared_error", {"kappa": 9.0, "target": 60.0, "scale": 10.0}, SquaredErrorLoss
            ),
        )
    }
)


def transfer_objective(name: str, **settings: float | bool) -> TransferObjective:
    """Returns one of the nine objectives: a loss and the last layer that goes with it.

        softmax              cross-entropy
        label_smoothing      LabelSmoothedCrossentropy(alpha=0.1)
        dropout              cross-entropy, dropout of the features with rate=0.3
        final_layer_l2       cross-entropy + λ / 2 ||W||² of the last kernel, λ = l2 = 8e-4
        logit_penalty        LogitPenaltyCrossentropy(beta=6e-4)
        logit_normalization  LogitNormalizedCrossentropy(temperature=0.04)
        cosine_softmax       CosineSoftmaxCrossentropy(temperature=0.05) of a NormalizedDense
                             with bias and normalize_features=True
        sigmoid              SigmoidCrossentropy()
        squared_error        SquaredErrorLoss(kappa=9, target=60, scale=10)

    The values are those released; in the published comparison an ordinary weight decay of 8e-5 on
    all kernels, the last included, comes on top. Two of the nine have softmax cross-entropy and
    live in the last layer, which `.head` builds. In each case it is a dense layer with bias.

    The released code of `cosine_softmax` divides the kernel's columns by their lengths, but not
    the features: `normalize_features=False`. The paper's formula divides both.

    Args:
        name: The first column above.
        **settings: Those that differ from the released ones, which were tuned for 1000 classes:
            for ten classes and a small network, temperatures of 0.1 and `kappa=1, target=3,
            scale=1` are a better start.

    Returns:
        A `TransferObjective` with `.loss`, `.head(features, num_classes, seed)` and
        `.prediction_logits(outputs)`.

    Raises:
        ValueError: An unknown objective or setting, or a value out of range.

    Example:

    >>> objective = transfer_objective("cosine_softmax", temperature=0.1)
    >>> inputs = keras.Input((8,))
    >>> features = keras.layers.Dense(4, activation="relu")(inputs)
    >>> model = keras.Model(inputs, objective.head(features, num_classes=3, seed=0))
    >>> model.compile("adam", objective.loss)
    >>> outputs = model(keras.ops.ones((2, 8)))
    >>> objective.prediction_logits(outputs).shape == (2, 3)
    True

    When not to use:
        For the loss alone: the classes named above are that. To repeat the published comparison on
        few classes with the released settings: retune them on accuracy of the training task, each
        for itself, and compare at equal length of training, because separation grows with time.

    Migration:
        From `loss_functions_transfer` of google-research (TensorFlow 1): `lambda_` is `l2`, `tau`
        is `temperature`, `m` is `target`, `loss_scale` is `scale`, and dropout's keep probability
        of 0.7 is `rate=0.3`. What its functions return as outputs is `.prediction_logits`. That
        code adds the last layer's penalty to the loss and to the graph's collection: twice, if
        both are summed.

    Reference:
        S. Kornblith, T. Chen, H. Lee, M. Norouzi, "Why Do Better Loss Functions Lead to Less
        Transferable Features?", NeurIPS 2021, arXiv 2010.16402.
    """
    if name not in TRANSFER_OBJECTIVES:
        raise ValueError(
            f"`name` is one of {', '.join(TRANSFER_OBJECTIVES)}."
            f"{nearest(str(name), TRANSFER_OBJECTIVES)} Received: name={name!r}"
        )
    released = TRANSFER_OBJECTIVES[name]
    if unknown := sorted(set(settings) - set(released.settings)):
        raise ValueError(
            f"The objective {name!r} has the settings "
            f"{', '.join(released.settings) or '(none)'}. Received: {', '.join(unknown)}"
        )
    return dataclasses.replace(released, settings={**released.settings, **settings})
