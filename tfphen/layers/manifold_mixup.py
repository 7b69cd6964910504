"""Manifold mixup: trains a model on mixtures of hidden states and, with the same mixture, labels.

Mixing at layer k with coefficient λ is mixing at every layer j with coefficient λ where j = k and 1
elsewhere, and 1 is an exact identity. So one static graph serves all layers.
"""

import copy
import threading
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

import tfphen.layers.mixing_points as mixing_points
from tfphen.core import checks, keras_internals
from tfphen.core.types import Shape, Tensor
from tfphen.layers.mixing import mix, symmetric_beta


class _OfThisThread(threading.local):
    """What the last training call drew. Replicas of a mirrored strategy are threads that alternate,
    and the batch of one may be shorter."""

    drawn: tuple[Tensor, Tensor] | None = None


@keras.saving.register_keras_serializable(package="tfphen")
class ManifoldMixup(keras.Model):
    """Trains a model on mixtures of hidden states, and is the plain model in all else.

    Each training call draws one place k among the eligible ones, one coefficient λ and one
    permutation π of the batch, runs the model to k, mixes, and runs the rest. With g_k the model up
    to k, f_k the rest and ℓ the compiled loss, the loss of example i is (section 2)

        h_i = λ g_k(x_i) + (1 - λ) g_k(x_π(i))
        L_i = λ ℓ(f_k(h_i), y_i) + (1 - λ) ℓ(f_k(h_i), y_π(i)),    λ ~ Beta(α, α)

    For a loss that is linear in the label's distribution, such as cross-entropies, L_i is the loss
    of the mixed label λ y_i + (1 - λ) y_π(i); integer labels need no one-hot form. A sample weight
    travels with its label. Gradients flow through both examples. In inference the outputs are those
    of `model`, bit for bit, which stays the place of all weights: `mixup.model` can be saved alone.

    With `layers=None` the places are the input and, of the tensors that no connection goes around,
    those nearest to one quarter and one half of the layers that have a kernel. For a ResNet-18
    these are between its first and second and its second and third stage, as in the authors' code
    (in a pre-activation one behind the activation there, which the authors' code has after the
    mixing). The input is the model's own, so before any layers of the model that normalize or
    augment: name the last of these instead of 0 to mix after them.

    Metrics compiled with `metrics` and `weighted_metrics` are computed in training from mixed
    examples against the label of the larger share, λ ≥ 1/2 or not. They lie below those of the
    plain model by construction; judge by validation metrics, which are as usual.

    On several replicas all draw the same k and λ, and each permutes its own part of the batch.

    Args:
        model: A functional or built sequential model with one output.
        layers: Names of the layers whose outputs may be mixed, 0 or the input layer's name for the
            inputs; `"body/conv_2"` for a layer in a nested model `body`. None for the automatic
            choice; `mixing_layers` tells which.
        alpha: α, a finite number. The authors use 2.0, and 1.0 with `layers=[0]` for input mixup.
            Zero or less means λ = 1: training of the plain model.
        seed: Integer seed of the draws, or None for one drawn by Keras. Runs with equal seeds draw
            equally on one backend; every call draws anew; a saved model goes on where it was.
        name: Name of the model.
        **kwargs: Keyword arguments of `keras.Model`. `dtype` is that of `model` unless given.

    Call arguments:
        inputs: As `model` takes them.
        training: Whether to mix.

    Returns:
        The outputs of `model`, in training those for mixed hidden states.

    Raises:
        ValueError: A model without a graph or with several outputs, a name in `layers` that is
            unknown or whose output is not all that the rest sees, `alpha` that is no finite
            number, or training without labels.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> from tfphen.models import mlp
    >>> model = ManifoldMixup(mlp((40,), 10, hidden_units=(256, 256, 256)), alpha=2.0, seed=0)
    >>> model.mixing_layers
    [0, 'hidden_1', 'hidden_2']
    >>> model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    >>> x, y = np.zeros((100, 40)), np.zeros(100, int)
    >>> history = model.fit(x, y, verbose=0)
    >>> model.predict(x, verbose=0).shape
    (100, 10)

    When not to use:
        Where a label is not a property of the whole example, as in detection or sequence tagging
        with masks; for losses that are not linear in the label's distribution, where the loss is
        the mixture of two losses and not that of a mixed label; with batches of one example. Gains
        over input mixup (`layers=[0]`, `alpha=1.0`) are 0 to 1 points of accuracy, and two
        published comparisons under short cross-entropy schedules find none. It is no defense
        against iterated adversarial attacks.

    Migration:
        From `vikasverma1077/manifold_mixup`: `--mixup_alpha 2.0 --mixup_hidden` is
        `ManifoldMixup(model, layers=[0, stage_1, stage_2], alpha=2.0)` with the names of the last
        layers of the first two stages; `--mixup` without hidden states is `layers=[0], alpha=1.0`.
        All runs there minimize the binary cross-entropy of softmax outputs, about 1/K of the usual
        loss: compile with `SoftmaxBinaryCrossentropy` to keep its learning rate and weight decay.

    Reference:
        V. Verma et al., "Manifold Mixup: Better Representations by Interpolating Hidden States",
        ICML 2019, arXiv 1806.05236.
    """

    def __init__(
        self,
        model: keras.Model,
        layers: Sequence[str | int] | None = None,
        alpha: float = 2.0,
        seed: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        graph = mixing_points.graph_of(model)
        if graph is None:
            raise ValueError(
                "`model` must be a functional model, or a sequential one that starts with "
                "`keras.Input`: others have no graph to mix in. "
                f"Received: model={model!r} of type {type(model).__name__}"
            )
        if len(graph.outputs) != 1:
            raise ValueError(
                "`model` must have one output, to which the mixed labels belong. "
                f"Received: model={model.name!r} with {len(graph.outputs)} outputs"
            )
        alpha = checks.number("alpha", alpha)
        # The inner model casts its inputs itself, as it does when it is called directly.
        super().__init__(name=name, **{"dtype": model.dtype_policy, "autocast": False, **kwargs})
        self.model = model
        self.alpha = alpha
        self.seed = seed
        self._given_layers = None if layers is None else list(layers)
        if layers is None:
            self._points = mixing_points.automatic_points(graph)
            if not self._points:
                raise ValueError(
                    "`model` has nowhere to mix: its inputs are no floats, and a connection goes "
                    f"around each layer before the last. Received: model={model.name!r}"
                )
        else:
            self._points = mixing_points.checked_points(graph, layers)
        self.seed_generator = keras.random.SeedGenerator(seed)
        self._last = _OfThisThread()
        self.built = True

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        self._last.drawn = None
        if not training or self.alpha <= 0:
            return self.model(inputs, training=training)
        graph = mixing_points.graph_of(self.model)
        # As the model itself does: dtypes, ranks, dictionaries of inputs.
        inputs = keras_internals.standardized_inputs(graph, inputs)
        coefficient, place, permutation = self._draw(ops.shape(inputs[0])[0])
        self._last.drawn = coefficient, permutation

        def mixed(path: str | int, values: Tensor) -> Tensor:
            if path not in self._points:
                return values
            here = ops.equal(place, self._points.index(path))
            return mix(values, ops.where(here, coefficient, 1.0), permutation)

        inputs = [mixed(mixing_points.INPUT, values) for values in inputs]
        return self._run(graph, inputs, mixed, "")

    def _draw(self, batch_size: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns (λ, float32 scalar; number of the place, int32 scalar; π, int32 `[batch]`)."""
        seed = self.seed_generator
        coefficient = symmetric_beta(self.alpha, seed)
        place = keras.random.randint((), 0, len(self._points), seed=seed)
        permutation = keras.random.shuffle(ops.arange(batch_size, dtype="int32"), seed=seed)
        # Rounded once, so that hidden states in 16 bits and labels are mixed alike.
        return ops.cast(ops.cast(coefficient, self.compute_dtype), "float32"), place, permutation

    def _run(
        self, graph: Any, inputs: Any, mixed: Callable[[str, Tensor], Tensor], prefix: str
    ) -> Any:
        """Runs a graph in training mode with `mixed(path, output)` in place of each output."""

        def through(operation: Any) -> Callable[..., Any]:
            path = prefix + operation.name
            nested = mixing_points.graph_of(operation)
            if not any(str(point).startswith(f"{path}/") for point in self._points):
                nested = None

            def apply(*args: Any, **kwargs: Any) -> Any:
                if nested is not None:
                    given = args[0] if args else kwargs["inputs"]
                    values = keras_internals.standardized_inputs(nested, given)
                    return mixed(path, self._run(nested, values, mixed, f"{path}/"))
                if keras_internals.takes_training_from_context(operation):
                    kwargs["training"] = True
                return mixed(path, operation(*args, **kwargs))

            return apply

        outputs = keras_internals.run_through_graph(graph, inputs, through)
        flat = keras.tree.flatten(outputs)
        return flat[0] if len(flat) == 1 else outputs

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        if not training or self._last.drawn is None:
            return loss
        if y is None:
            raise ValueError("`y` must be given: labels are mixed as inputs are. Received: y=None")
        coefficient, permutation = self._last.drawn
        coefficient = ops.cast(coefficient, loss.dtype)
        # Penalties on weights are in both terms, so once in the sum. A weight goes with its label.
        y, sample_weight = _partners((y, sample_weight), permutation)
        other = super().compute_loss(x, y, y_pred, sample_weight, training)
        return coefficient * loss + (1 - coefficient) * other

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        drawn, self._last.drawn = self._last.drawn, None
        if drawn is not None:
            larger = ops.greater_equal(drawn[0], 0.5)
            y, sample_weight = keras.tree.map_structure(
                lambda own, other: None if own is None else ops.where(larger, own, other),
                (y, sample_weight),
                _partners((y, sample_weight), drawn[1]),
            )
        return super().compute_metrics(x, y, y_pred, sample_weight)

    @property
    def mixing_layers(self) -> list[str | int]:
        """The places that are mixed, in the order of computation, 0 for the inputs."""
        return list(self._points)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return self.model.compute_output_shape(input_shape)

    def save_own_variables(self, store: Any) -> None:
        store["seed_generator_state"] = self.seed_generator.state

    def load_own_variables(self, store: Any) -> None:
        self.seed_generator.state.assign(store["seed_generator_state"])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "model": keras.saving.serialize_keras_object(self.model),
            "layers": self._given_layers,
            "alpha": self.alpha,
            "seed": self.seed,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Any:
        # A copy, since Keras empties the configuration of a functional model that it reads.
        model = copy.deepcopy(config["model"])
        model = keras.saving.deserialize_keras_object(model, custom_objects=custom_objects)
        return cls(**{**config, "model": model})


def _partners(structure: Any, permutation: Tensor) -> Any:
    """Returns each tensor's rows in the order of the permutation; None stays None."""
    return keras.tree.map_structure(
        lambda values: None if values is None else ops.take(values, permutation, axis=0), structure
    )
