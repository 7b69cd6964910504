"""Few-shot domain adaptation by a causal mechanism: combine components, then fit a kernel function.

The inverse of the mechanism maps points to independent components. All combinations of the
components of n target points, n to the power of their number, are mapped back to points: each is
as likely under the target domain as the observed points.

Reference:
    T. Teshima, I. Sato, M. Sugiyama, "Few-shot Domain Adaptation by Causal Mechanism Transfer",
    ICML 2020, arXiv 2002.03497.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import threadpoolctl
from sklearn.decomposition import FastICA
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import OneClassSVM

from tfphen.core import checks, references
from tfphen.core.checks import require
from tfphen.core.errors import UsageError
from tfphen.core.seeds import stream
from tfphen.phenomena.causal_mechanism_transfer.kernel_ridge import KernelRidge
from tfphen.phenomena.causal_mechanism_transfer.shared_mechanism import MECHANISMS
from tfphen.solvers.base import Problem

Transform = Callable[[np.ndarray], np.ndarray]


def combinations(components: np.ndarray) -> np.ndarray:
    """Returns every combination of the components of n points.

    Args:
        components: `[n, d]`.

    Returns:
        `[n**d, d]`: entry k of a row is component k of any of the points.

    Example:

    >>> combinations(np.asarray([[1, 10], [2, 20]])).tolist()
    [[1, 10], [1, 20], [2, 10], [2, 20]]
    """
    components = np.asarray(components)
    require(components.ndim == 2, "components", components.shape, "must be an array [n, d]")
    count, dimensions = components.shape
    index = np.indices((count,) * dimensions).reshape(dimensions, -1)
    return np.stack([components[index[k], k] for k in range(dimensions)], axis=1)


class NoveltyFilter:
    """Rejects points outside the distribution of the sources.

    A point passes if all of its numbers are finite and a one-class support vector machine (nu 0.1,
    Gaussian kernel with gamma one over the dimensions) takes it for one of the sources' own.

    Args:
        sources: `[m, d]`.
    """

    def __init__(self, sources: np.ndarray):
        self._machine = OneClassSVM(nu=0.1, gamma="auto").fit(sources)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Returns which of the points `[n, d]` pass, bool, `[n]`."""
        passed = np.isfinite(points).all(1)
        if passed.any():
            passed[passed] = self._machine.predict(points[passed]) == 1
        return passed


class Fit(NamedTuple):
    """A fitted function with its training points.

    Args:
        ridge: From all variables but the last to the last.
        kept: Share of the combinations that were used; 0 without combinations.
        points: `[n, d]`: its training points, those of the target first.
    """

    ridge: KernelRidge
    kept: float
    points: np.ndarray

    @property
    def score(self) -> float:
        """Leave-one-out mean squared error of the target's points."""
        return self.ridge.score


def fit(points: np.ndarray, more: np.ndarray | None = None, kept: float = 0.0) -> Fit:
    """Fits the last variable to the others.

    Args:
        points: `[n, d]`: the penalty is chosen by leaving out each of these.
        more: `[m, d]`: additional points, or None.
        kept: Passed to the result.
    """
    every = points if more is None else np.concatenate([points, more])
    return Fit(KernelRidge(every[:, :-1], every[:, -1], len(points)), kept, every)


def transfer(
    points: np.ndarray, components: np.ndarray, to_points: Transform, passes: Transform | None
) -> Fit:
    """Fits to the points and to all combinations of their components.

    Args:
        points: `[n, d]`: the target's.
        components: `[n, d]`: theirs.
        to_points: From components to points, `[m, d]` each.
        passes: Selects points, see `NoveltyFilter`; None keeps all finite ones.
    """
    made = to_points(combinations(components))
    finite = np.isfinite(made).all(1)
    kept = finite if passes is None else passes(made)
    return fit(points, made[kept], float(kept.mean()))


# ---- models of the solver's trials ---------------------------------------------------------------


class Task(NamedTuple):
    """Data of a fit.

    Args:
        sources: `[m, d]`.
        labels: The domain of each of them, `[m]`.
        target: `[n, d]`.
        test: `[k, d]`: test points of the target domain.
        seed: Of the trial.
    """

    sources: np.ndarray
    labels: np.ndarray
    target: np.ndarray
    test: np.ndarray
    seed: int


def _mechanism(task: Task, *, kind: str) -> Fit:
    """Combines by a given mechanism, true or not."""
    mechanism = MECHANISMS[checks.one_of("kind", kind, tuple(MECHANISMS))]
    return transfer(task.target, mechanism.components(task.target), mechanism.points, None)


def _fast_ica(task: Task, *, rotation: float = 0.0) -> Fit:
    """Combines by a linear mechanism that FastICA estimates, optionally rotated by some degrees.

    Each domain is centered first: pooled over distributions with many means, components look
    Gaussian. Rotated components of two variables are still uncorrelated, but not independent.
    """
    angle = math.radians(checks.number("rotation", rotation, -360, 360))
    turn = np.eye(task.sources.shape[1])
    turn[:2, :2] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    means = {label: task.sources[task.labels == label].mean(0) for label in np.unique(task.labels)}
    centered = task.sources - np.stack([means[label] for label in task.labels])
    seed = int(stream(task.seed, "fast_ica").integers(2**31))
    ica = FastICA(whiten="unit-variance", max_iter=1000, random_state=seed)
    with warnings.catch_warnings():
        # FastICA need not converge where the mechanism is not linear.
        warnings.simplefilter("ignore", ConvergenceWarning)
        ica.fit(centered)
    components = ica.transform(task.target) @ turn
    return transfer(task.target, components, lambda s: ica.inverse_transform(s @ turn.T), None)


def _source_only(task: Task) -> Fit:
    return fit(task.sources)


def _target_only(task: Task) -> Fit:
    return fit(task.target)


def _source_and_target(task: Task) -> Fit:
    """Fits to both; the target's points select the penalty."""
    return fit(task.target, task.sources)


def _all_target(task: Task) -> Fit:
    """Fits to all points of the target, for their leave-one-out error."""
    return fit(np.concatenate([task.target, task.test]))


ARMS: dict[str, Callable[..., Fit]] = {
    "mechanism": _mechanism,
    "fast_ica": _fast_ica,
    "source_only": _source_only,
    "target_only": _target_only,
    "source_and_target": _source_and_target,
    "all_target": _all_target,
}


class TransferPredictor:
    """The fitted functions of all members.

    Attributes:
        execution: The method of the fit.
        num_parameters: Largest number of coefficients of a member.
        fits: One `Fit` per member.
        diagnostics: `"score"`, `"kept"` and `"points"` of each, see `Fit`; points are padded with
            NaN to the largest number, `[members, n, d]`.
    """

    execution = "kernel least squares, eigenvalues of the kernel matrix"

    def __init__(self, fits: Sequence[Fit]):
        self.fits = tuple(fits)
        self.num_parameters = max(len(one.ridge.coefficients) for one in self.fits)
        self.diagnostics = {
            "score": np.asarray([one.score for one in self.fits]),
            "kept": np.asarray([one.kept for one in self.fits]),
            "points": np.stack([self._padded(one.points) for one in self.fits]),
        }

    def _padded(self, points: np.ndarray) -> np.ndarray:
        missing = self.num_parameters - len(points)
        return np.pad(points, ((0, missing), (0, 0)), constant_values=np.nan)

    def predict(
        self, inputs: np.ndarray, rows: np.ndarray | None = None, layers: Sequence[str] = ()
    ) -> np.ndarray:
        """Returns predictions of the last variable from the others, `[members, n, 1]`, float32."""
        if layers:
            raise UsageError(f"A kernel function has no layers. Received: {list(layers)}")
        if rows is None:
            rows = np.broadcast_to(np.arange(len(inputs)), (len(self.fits), len(inputs)))
        pairs = zip(self.fits, rows, strict=True)
        values = [one.ridge(inputs[row][:, :-1]) for one, row in pairs]
        return np.stack(values)[..., None].astype("float32")


def small_problems():
    """Context manager that limits linear algebra to one thread, for many small fits.

    Synchronizing threads at every matrix of a few hundred rows takes ten times as long.
    """
    return threadpoolctl.threadpool_limits(1, user_api="blas")


def solve(problem: Problem) -> TransferPredictor:
    """Fits the function of each member according to its model, see `ARMS`.

    Args:
        problem: Its trials name the model; the last label of the data is the target domain.
    """
    trials, examples = problem.trials, problem.examples
    spec = trials[0].model
    arm = references.look_up("model", ARMS, spec)
    fits = []
    with small_problems():
        for index, trial in enumerate(trials):
            points, labels = _member(examples, "train", index)
            is_target = labels == examples.num_classes - 1
            test, _ = _member(examples, "test", index)
            parts = points[~is_target], labels[~is_target], points[is_target]
            task = Task(*parts, test, trial.seed)
            fits.append(references.call("model", arm, spec, task))
            problem.tick(1)
    return TransferPredictor(fits)


def _member(examples, split: str, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the points `[n, d]`, float64, and labels `[n]` of a member's split."""
    pool, rows, labels = examples.splits[split]
    mine = slice(examples.sizes[index] if split == "train" else None)
    return pool[rows[index, mine]].astype("float64"), labels["labels"][index, mine]
