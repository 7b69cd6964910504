"""A two-layer ReLU network with 2n + d weights that fits any n numbers: Theorem 1 of Zhang et al.

    c(x) = Σⱼ wⱼ max(⟨a, x⟩ - bⱼ, 0)

Along a direction a in which all projections zᵢ = ⟨a, xᵢ⟩ differ, thresholds b₁ < z₁ < b₂ < z₂ < …
make max(zᵢ - bⱼ, 0) a lower triangular matrix with a positive diagonal, so the weights follow one
after the other. The arithmetic needs float64: the smallest gap zᵢ - bᵢ falls as 1 / n²
(arXiv 1611.03530).
"""

import dataclasses
from collections.abc import Sequence

import keras
import numpy as np

from tfphen.core import checks, references
from tfphen.core.errors import UsageError
from tfphen.core.seeds import stream
from tfphen.solvers.base import Problem


@dataclasses.dataclass(frozen=True)
class ThresholdNetwork:
    """The network `c(x) = sum_j weights[j] * max(<direction, x> - thresholds[j], 0)`, float64.

    Attributes:
        direction: `[d]`.
        thresholds: `[n]`, increasing.
        weights: `[n]`.
    """

    direction: np.ndarray
    thresholds: np.ndarray
    weights: np.ndarray

    @property
    def num_weights(self) -> int:
        """2n + d."""
        return self.direction.size + self.thresholds.size + self.weights.size

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Returns c of inputs `[m, d]`, `[m]`."""
        projections = np.asarray(inputs, "float64") @ self.direction
        return np.maximum(projections[:, None] - self.thresholds, 0.0) @ self.weights


def threshold_weights(
    projections: np.ndarray, thresholds: np.ndarray, targets: np.ndarray
) -> np.ndarray:
    """Solves `sum_j w_j max(z_i - b_j, 0) = y_i` for all i in one pass.

    Args:
        projections: z, `[n]`, increasing.
        thresholds: b, `[n]`, with `b_i < z_i <= b_(i+1)`.
        targets: y, `[n]`.

    Returns:
        w, `[n]`, float64.
    """
    weights, slope, offset = np.empty(len(targets)), 0.0, 0.0
    for i, (z, b, y) in enumerate(zip(projections, thresholds, targets, strict=True)):
        weights[i] = (y - (slope * z - offset)) / (z - b)
        slope += weights[i]
        offset += weights[i] * b
    return weights


def fit_threshold_network(
    inputs: np.ndarray, targets: np.ndarray, generator: np.random.Generator, *, draws: int = 50
) -> ThresholdNetwork:
    """Builds the network that gives every input its target.

    Args:
        inputs: `[n, d]`, all different.
        targets: `[n]`, any numbers.
        generator: Draws the directions.
        draws: How many Gaussian directions are drawn; the one whose closest two projections are
            farthest apart is taken.

    Raises:
        UsageError: Two inputs are the same, `draws` is not positive, or shapes do not fit.

    Example:

    >>> import numpy as np
    >>> inputs = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    >>> network = fit_threshold_network(inputs, np.array([5, -1, 4]), np.random.default_rng(0))
    >>> network.num_weights, np.round(network(inputs), 9).tolist()
    (8, [5.0, -1.0, 4.0])

    When not to use:
        To learn: it fits noise as readily as anything else, and does not generalize.

    Reference:
        C. Zhang, S. Bengio, M. Hardt, B. Recht, O. Vinyals, "Understanding deep learning requires
        rethinking generalization", ICLR 2017, arXiv 1611.03530, Theorem 1.
    """
    inputs, targets = np.asarray(inputs, "float64"), np.asarray(targets, "float64")
    checks.whole("draws", draws)
    if inputs.ndim != 2 or targets.shape != inputs.shape[:1] or not len(inputs):
        raise UsageError(
            "`inputs` has shape [n, d] and `targets` [n]. "
            f"Received: shapes {inputs.shape} and {targets.shape}"
        )
    directions = generator.standard_normal((draws, inputs.shape[1]))
    sorted_projections = np.sort(inputs @ directions.T, axis=0)
    gaps = np.diff(sorted_projections, axis=0).min(0, initial=np.inf)
    best = int(gaps.argmax())
    if not gaps[best] > 0:
        raise UsageError(
            "Two inputs are the same, or too close to tell apart in float64, so no function gives "
            f"them any two targets. Received: {len(inputs)} inputs"
        )
    projections = inputs @ directions[best]
    order = np.argsort(projections)
    z = projections[order]
    thresholds = np.concatenate([[z[0] - 1.0], (z[:-1] + z[1:]) / 2])
    weights = threshold_weights(z, thresholds, targets[order])
    return ThresholdNetwork(directions[best], thresholds, weights)


@keras.saving.register_keras_serializable(package="tfphen")
class Thresholds(keras.layers.Layer):
    """Compares one number with many thresholds: `max(z - b_j, 0)`, one weight a threshold.

    Args:
        units: Number of thresholds.
        **kwargs: Of `keras.layers.Layer`.

    Call arguments:
        inputs: `[batch, 1]`.

    Returns:
        `[batch, units]`.
    """

    def __init__(self, units: int, **kwargs):
        super().__init__(**kwargs)
        self.units = checks.whole("units", units)

    def build(self, input_shape):
        self.thresholds = self.add_weight(shape=(self.units,), name="thresholds")

    def call(self, inputs):
        return keras.ops.relu(inputs - self.thresholds)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def threshold_model(network: ThresholdNetwork) -> keras.Model:
    """Returns the network as an ordinary Keras model in float64, `[batch, d] -> [batch, 1]`.

    Call it on float64 arrays. Its `predict` rounds inputs to float32, as Keras does by default,
    which large weights blow up.

    Example:

    >>> import numpy as np
    >>> inputs = np.arange(10.0).reshape(5, 2)
    >>> network = fit_threshold_network(inputs, np.arange(5), np.random.default_rng(0))
    >>> threshold_model(network).count_params()
    12
    """
    double = {"dtype": "float64"}
    units = len(network.weights)
    inputs = keras.Input((len(network.direction),), **double)
    projection = keras.layers.Dense(1, use_bias=False, name="direction", **double)
    hidden = Thresholds(units, name="thresholds", **double)(projection(inputs))
    outputs = keras.layers.Dense(1, use_bias=False, name="weights", **double)(hidden)
    model = keras.Model(inputs, outputs, name="threshold_network")
    model.set_weights([network.direction[:, None], network.thresholds, network.weights[:, None]])
    return model


class ThresholdPredictor:
    """The constructed networks of all members, as classifiers by the nearest class number.

    Attributes:
        execution: The method that built them.
        num_parameters: Weights of the first member's network.
        diagnostics: `"misfit"`, `[members]`: the largest distance of a training example's value
            from its class number.
    """

    execution = "construction"

    def __init__(
        self, networks: Sequence[ThresholdNetwork], classes: int, misfits: Sequence[float]
    ):
        self._networks, self._classes = networks, classes
        self.num_parameters = networks[0].num_weights
        self.diagnostics = {"misfit": np.asarray(misfits)}

    def predict(
        self, inputs: np.ndarray, rows: np.ndarray | None = None, layers: Sequence[str] = ()
    ) -> np.ndarray:
        """Returns `-(c - k)²` for the class numbers k, `[members, n, classes]`, float64.

        Args:
            inputs: A pool of examples, `[pool, ...]`.
            rows: Rows of the pool for each member, `[members, n]`; None for the whole pool.
            layers: Empty: there are no layers to return.

        Raises:
            UsageError: Outputs of layers are asked for.
        """
        if rows is None:
            rows = np.broadcast_to(np.arange(len(inputs)), (len(self._networks), len(inputs)))
        if layers:
            raise UsageError(f"A threshold network has no layers. Received: {list(layers)}")
        flat = inputs.reshape(len(inputs), -1)
        pairs = zip(self._networks, rows, strict=True)
        values = np.stack([network(flat[mine]) for network, mine in pairs])
        return -np.square(values[..., None] - np.arange(self._classes))


def _threshold_network_model(*, units: int | None = None) -> int | None:
    return units if units is None else checks.whole("units", units)


def solve(problem: Problem) -> ThresholdPredictor:
    """Builds a network for each member that gives each input its class number.

    The model is `threshold_network(units=None)`: with fewer units than examples, only that many of
    them, drawn at random, are fitted. The settings of the solver are those of
    `fit_threshold_network`.

    Args:
        problem: Its trials name the model, and the solver with its settings.
    """
    trials, examples = problem.trials, problem.examples
    pool, rows, labels = examples.splits["train"]
    spec = trials[0].model
    models = {"threshold_network": _threshold_network_model}
    units = references.call("model", references.look_up("model", models, spec), spec)
    networks, misfits = [], []
    for index, (trial, size) in enumerate(zip(trials, examples.sizes, strict=True)):
        generator = stream(trial.seed, "threshold_network")
        inputs = pool[rows[index, :size]].reshape(size, -1)
        targets = labels["labels"][index, :size]
        fitted = generator.permutation(size)[: size if units is None else units]
        arguments = inputs[fitted], targets[fitted], generator
        network = references.call("solver", fit_threshold_network, trial.solver, *arguments)
        networks.append(network)
        misfits.append(abs(network(inputs) - targets).max())
        problem.tick(1.0)
    return ThresholdPredictor(networks, examples.num_classes, misfits)
