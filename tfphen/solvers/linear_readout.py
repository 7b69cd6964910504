"""Solves a linear readout exactly instead of by gradient descent."""

from collections.abc import Sequence

import numpy as np
import scipy.linalg
import threadpoolctl

from tfphen.core.trial import Spec
from tfphen.population.population import Population
from tfphen.population.prediction import Predictor
from tfphen.solvers.base import Problem

# Singular values below this share of the largest count as zero.
_RCOND = 1e-10


class LeastSquares:
    """`min |features @ kernel - targets|² + ridge |kernel|²`, of minimum norm if `ridge` is 0.

    Args:
        features: `[examples, features]`.
        targets: `[examples, classes]`.
        ridge: Non-negative.
    """

    def __init__(self, features: np.ndarray, targets: np.ndarray, ridge: float = 0.0):
        # One thread: threads of BLAS and TensorFlow block each other for seconds.
        with threadpoolctl.threadpool_limits(1, user_api="blas"):
            left, values, self._right = scipy.linalg.svd(
                features.astype("float64"), full_matrices=False, check_finite=False
            )
        kept = values > _RCOND * values[0]
        self._curvature = values**2 + ridge
        shrink = np.where(kept, values / np.where(kept, self._curvature, 1.0), 0.0)
        self._coordinates = shrink[:, None] * (left.T @ targets)

    def kernel(self, descent_steps: int | None = None) -> np.ndarray:
        """Returns the solution, `[features, classes]`, float64.

        Args:
            descent_steps: None for the minimum. Otherwise the solution is the iterate of full-batch
                gradient descent from zero after this many steps, at a rate of half the inverse of
                the largest curvature: along an axis of curvature c, a fraction
                `1 - (1 - c / (2 c_max)) ** steps` of the way.
        """
        coordinates = self._coordinates
        if descent_steps is not None:
            left = (1.0 - 0.5 * self._curvature / self._curvature[0]) ** descent_steps
            coordinates = (1.0 - left)[:, None] * coordinates
        with threadpoolctl.threadpool_limits(1, user_api="blas"):
            return self._right.T @ coordinates


class ReadoutSolver:
    """Fits the readout of each member to centered one-hot labels.

    Args:
        members: A population whose model has a layer `features` and, after it, a layer `kernel`
            without a bias.
        inputs: The pool of examples.
        rows: Rows of each member, `[members, n]`.
        labels: Their labels, `[members, n]`.
        sizes: Number of examples of each member; the rest of the `n` is padding.
        num_classes: Number of classes.
        ridges: Penalty of each member, `[members]`.
        features: Name of the layer whose outputs are the features.
        kernel: Name of the layer whose kernel is fitted.

    Attributes:
        predictor: A `Predictor` of the population.
    """

    def __init__(
        self,
        members: Population,
        inputs: np.ndarray,
        rows: np.ndarray,
        labels: np.ndarray,
        sizes: Sequence[int],
        num_classes: int,
        ridges: np.ndarray,
        features: str = "features",
        kernel: str = "readout",
    ):
        self.predictor = Predictor(members)
        _, hidden = self.predictor.predict(inputs, rows, (features,))
        path = members.model.get_layer(kernel).kernel.path
        (self._variable,) = (v for t, v in members.trainable if t.path == path)
        self._problems = [
            LeastSquares(
                hidden[features][index, :size],
                np.eye(num_classes)[labels[index, :size]] - 1.0 / num_classes,
                float(ridges[index]),
            )
            for index, size in enumerate(sizes)
        ]

    def solve(self, descent_steps: int | None = None) -> None:
        """Assigns the solution to every member. See `LeastSquares.kernel`."""
        kernels = [problem.kernel(descent_steps) for problem in self._problems]
        self._variable.assign(np.stack(kernels).astype("float32"))


def solve(problem: Problem) -> Predictor:
    """Fits the readout of each trial's model by least squares, at each point of its curve.

    Args:
        problem: A problem with a population, whose trials name the solver
            `least_squares(ridge=0.0)` with a non-negative penalty. Trials with `steps` emulate that
            number of steps of full-batch gradient descent.
    """
    examples, trials = problem.examples, problem.trials
    pool, rows, labels = examples.splits["train"]
    if problem.population is None:
        raise ValueError("The problem has no population, whose readout could be fitted.")
    specs = [trial.solver or Spec("least_squares") for trial in trials]
    ridges = np.asarray([spec.settings.get("ridge", 0.0) for spec in specs])
    readout = ReadoutSolver(
        problem.population(),
        pool,
        rows,
        labels["labels"],
        examples.sizes,
        examples.num_classes,
        ridges,
    )
    for step in problem.points:
        readout.solve(step)
        problem.record(readout.predictor, step)
        problem.tick(len(trials) / len(problem.points))
    return readout.predictor
