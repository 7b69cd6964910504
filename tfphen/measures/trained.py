"""The view that measures take of a population and its examples: NumPy arrays with a member axis."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeAlias, cast

import numpy as np
from scipy.special import log_softmax

from tfphen.core.trial import Trial
from tfphen.population.initial_weights import initial_weights
from tfphen.population.population import Population
from tfphen.population.prediction import WithModel
from tfphen.solvers.base import Fitted, FittedPopulation

# The pool of inputs `[pool, ...]`, the rows of each member `[members, n]`, and their labels
# `[members, n]` by name.
Split: TypeAlias = tuple[np.ndarray, np.ndarray, Mapping[str, np.ndarray]]


class Trained:
    """A trained population with its data.

    Args:
        fitted: The fits, which run the members.
        splits: `"train"`, `"test"`, and optional ones such as `"validation"`.
        num_classes: Number of classes.
        sizes: Number of rows of `"train"` of each member; the rest is padding.
        transition_matrices: Noise matrix of each member's training labels, `[members, K, K]`:
            row c holds the probabilities of the labels given to clean class c.
        class_counts: Number of training examples of each class, `[members, K]`.
        trials: The trial of each member.
        step: Updates done so far; None for a fit without steps.
    """

    def __init__(
        self,
        fitted: Fitted,
        splits: Mapping[str, Split],
        num_classes: int,
        sizes: Sequence[int],
        transition_matrices: np.ndarray,
        class_counts: np.ndarray | None = None,
        trials: Sequence[Trial] = (),
        step: int | None = None,
    ):
        self._fitted, self._splits, self.num_classes = fitted, splits, num_classes
        self._sizes, self.transition_matrices = sizes, transition_matrices
        self.class_counts, self.trials, self.step = class_counts, tuple(trials), step
        # Cached in the instance: a cache of the class would keep all views alive.
        self._known: dict[tuple[Any, ...], Any] = {}

    @property
    def members(self) -> Population:
        """The population, for measures that need its weights."""
        return self._population.members

    @property
    def _population(self) -> FittedPopulation:
        # Measures of weights and models are for trials whose fits are a population.
        return cast(FittedPopulation, self._fitted)

    def weights(self) -> np.ndarray:
        """All weights, `[members, numbers]`, in the order of `train.initialization.flatten`."""
        return np.concatenate([v.reshape(len(v), -1) for v in self.members.values()], axis=1)

    def masks(self) -> np.ndarray:
        """Whether each of `weights` is kept, not pruned, bool, `[members, numbers]`."""
        members = self.members
        parts = [
            members.masks.get(variable.path, np.ones((members.size, *variable.shape)))
            for variable in members.model.weights
        ]
        return np.concatenate([part.reshape(members.size, -1) for part in parts], axis=1) > 0

    def initial_weights(self) -> list[np.ndarray]:
        """The values of `members.values()` before training, if they were drawn from the seeds."""
        seeds = [trial.seed_of("init") for trial in self.trials]
        drawn = [initial_weights(self.members.model, seed) for seed in seeds]
        return [np.stack(values) for values in zip(*drawn, strict=True)]

    def inputs(self, split: str) -> np.ndarray:
        """The examples of each member, `[members, n, ...]`."""
        pool, rows, _ = self._splits[split]
        return pool[rows]

    @property
    def diagnostics(self) -> Mapping[str, np.ndarray]:
        """Per-member solver diagnostics, such as iterations, `[members, ...]` by name."""
        return self._fitted.diagnostics

    def once(self, function: Callable[..., Any], *arguments: Hashable) -> Any:
        """Returns `function(self, *arguments)`, called once and cached in this view.

        Caches expensive results shared by several measures.
        """
        key = function, arguments
        if key not in self._known:
            self._known[key] = function(self, *arguments)
        return self._known[key]

    def logits(self, split: str) -> np.ndarray:
        """The model's outputs, `[members, n, classes]`, float32."""
        outputs: np.ndarray = self.once(_outputs, split)
        return outputs

    def log_probabilities(self, split: str) -> np.ndarray:
        """Log-softmax in float64, `[members, n, classes]`."""
        values: np.ndarray = self.once(_log_probabilities, split)
        return values

    def activations(self, split: str, layer: str) -> np.ndarray:
        """Outputs of a layer by its name, `[members, n, ...]`."""
        outputs: np.ndarray = self.once(_outputs, split, layer)
        return outputs

    def apply(self, inputs: np.ndarray, layer: str | None = None) -> np.ndarray:
        """Returns outputs `[members, n, ...]` of the model, or of a layer, for any examples.

        Args:
            inputs: Shared examples `[n, ...]`, or those of each member `[members, n, ...]`.
            layer: Name of a layer; None for the model's outputs.
        """
        rows, one = None, self._splits["test"][0]
        if inputs.ndim > one.ndim:
            rows = np.arange(inputs.shape[0] * inputs.shape[1]).reshape(inputs.shape[:2])
            inputs = inputs.reshape(-1, *inputs.shape[2:])
        inputs = np.asarray(inputs, one.dtype)
        if layer is None:
            return self._fitted.predict(inputs, rows)
        return self._fitted.predict(inputs, rows, (layer,))[1][layer]

    def with_model(self, function: WithModel, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Returns the result of a function of the models in inference mode, such as an attack.

        Args:
            function: `(apply, inputs, labels) -> [members, n, ...]`, see `Predictor.through`.
            inputs: Shared examples `[n, ...]`, or those of each member `[members, n, ...]`.
            labels: `[n]` or `[members, n]`.
        """
        one, size = self._splits["test"][0], self.members.size
        inputs, labels = np.asarray(inputs, one.dtype), np.asarray(labels)
        if inputs.ndim == one.ndim:
            inputs = np.broadcast_to(inputs, (size, *inputs.shape))
        labels = np.broadcast_to(labels, (size, labels.shape[-1]))
        return self._population.through(function, inputs, labels)

    def labels(self, split: str, kind: str = "labels") -> np.ndarray:
        """Labels `[members, n]`: those of the training, or `"clean_labels"`."""
        return self._splits[split][2][kind]

    def mean(self, split: str, per_example: np.ndarray) -> np.ndarray:
        """Returns the mean over each member's own examples, `[members]`.

        Args:
            split: `"train"`, `"test"` or `"validation"`.
            per_example: `[members, n]`.
        """
        if split != "train" or len(set(self._sizes)) == 1:
            return per_example.mean(1)
        pairs = zip(per_example, self._sizes, strict=True)
        return np.asarray([row[:size].mean() for row, size in pairs])

    def mean_of_classes(self, split: str, per_example: np.ndarray) -> np.ndarray:
        """Returns the mean over each member's own examples, `[members, classes]`.

        Args:
            split: As in `mean`.
            per_example: `[members, n, classes]`.
        """
        columns = np.moveaxis(per_example, -1, 0)
        return np.stack([self.mean(split, column) for column in columns], axis=-1)

    def mean_loss(self, split: str) -> np.ndarray:
        """Returns the mean cross-entropy of the labels in nats, `[members]`, float64."""
        labels = self.labels(split)[..., None]
        losses = -np.take_along_axis(self.log_probabilities(split), labels, -1)[..., 0]
        return self.mean(split, losses)


def _outputs(trained: Trained, split: str, layer: str | None = None) -> np.ndarray:
    inputs, rows, _ = trained._splits[split]
    if layer is None:
        return trained._fitted.predict(inputs, rows)
    return trained._fitted.predict(inputs, rows, (layer,))[1][layer]


def _log_probabilities(trained: Trained, split: str) -> np.ndarray:
    return log_softmax(trained.logits(split).astype("float64"), axis=-1)
