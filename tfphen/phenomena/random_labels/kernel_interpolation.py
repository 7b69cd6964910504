"""Kernel interpolation of the labels of many members, and its predictor.

Members with the same inputs share one kernel matrix. See `kernel_solver`.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from tfphen.core import checks, references
from tfphen.core.errors import UsageError
from tfphen.core.seeds import stream
from tfphen.density_ratio.kernels import gaussian_kernel
from tfphen.phenomena.random_labels.kernel_solver import Interpolation, interpolate
from tfphen.solvers.base import Problem

# Inputs at which functions are evaluated at once.
_BLOCK = 1024


@dataclasses.dataclass(frozen=True)
class _Shared:
    """Members with the same inputs, and their joint solution, a block of columns each."""

    members: list[int]
    rows: np.ndarray
    points: np.ndarray
    solution: Interpolation

    def expand(self, inputs: np.ndarray, gamma: float) -> np.ndarray:
        """Returns the functions' values at inputs, `[n, columns]`, float32."""
        coefficients = self.solution.coefficients.astype("float32")
        values = np.empty((len(inputs), coefficients.shape[1]), "float32")
        for start in range(0, len(inputs), _BLOCK):
            part = inputs[start : start + _BLOCK]
            values[start : start + _BLOCK] = (
                gaussian_kernel(part, self.points, gamma) @ coefficients
            )
        return values


class KernelPredictor:
    """The interpolating functions of all members.

    Args:
        pool: Training inputs of all members, `[pool, ...]`.
        classes: Number of outputs.
        gamma: Inverse squared width.
        solutions: Those of the members that share inputs.

    Attributes:
        execution: The method that solved for them.
        num_parameters: Coefficients of one member.
        diagnostics: Arrays `[members]` by name: `"iterations"` and `"residual"`, the largest of its
            classes, and `"norm"`, the root of the sum of its classes' squared norms.
    """

    def __init__(self, pool: np.ndarray, classes: int, gamma: float, solutions: Sequence[_Shared]):
        self._pool, self._classes, self._gamma = pool, classes, gamma
        self._solutions = solutions
        self._size = sum(len(shared.members) for shared in solutions)
        first = solutions[0].solution
        self.execution = "conjugate gradients" if first.iterations.any() else "Cholesky"
        self.num_parameters = len(first.coefficients) * classes
        self.diagnostics = {
            name: np.zeros(self._size) for name in ("iterations", "residual", "norm")
        }
        for shared in solutions:
            solution, at, shape = shared.solution, shared.members, (len(shared.members), classes)
            self.diagnostics["iterations"][at] = solution.iterations.reshape(shape).max(1)
            self.diagnostics["residual"][at] = solution.residuals.reshape(shape).max(1)
            self.diagnostics["norm"][at] = np.sqrt(solution.squared_norms.reshape(shape).sum(1))

    def predict(
        self, inputs: np.ndarray, rows: np.ndarray | None = None, layers: Sequence[str] = ()
    ) -> np.ndarray:
        """Returns the outputs of all members, `[members, n, classes]`, float32.

        Args:
            inputs: A pool of examples, `[pool, ...]`.
            rows: Rows of the pool for each member, `[members, n]`; None for the whole pool.
            layers: Empty: a kernel has none.

        Raises:
            UsageError: Outputs of layers are asked for.
        """
        if rows is None:
            rows = np.broadcast_to(np.arange(len(inputs)), (self._size, len(inputs)))
        if layers:
            raise UsageError(f"A kernel interpolation has no layers. Received: {list(layers)}")
        outputs = np.empty((*rows.shape, self._classes), "float32")
        for shared in self._solutions:
            # Members with the same training inputs mostly share their other inputs too.
            computed = (
                {shared.rows.tobytes(): shared.solution.fitted} if inputs is self._pool else {}
            )
            for place, member in enumerate(shared.members):
                key = rows[member].tobytes()
                if key not in computed:
                    flat = inputs[rows[member]].reshape(rows.shape[1], -1)
                    computed[key] = shared.expand(flat.astype("float32"), self._gamma)
                columns = slice(place * self._classes, (place + 1) * self._classes)
                outputs[member] = computed[key][:, columns]
        return outputs


def _gaussian_kernel_model(*, gamma: float = 0.02) -> float:
    return checks.positive("gamma", gamma)


def solve(problem: Problem) -> KernelPredictor:
    """Interpolates the one-hot training labels of all members.

    The model is `gaussian_kernel(gamma=0.02)`; the settings of the solver are those of
    `interpolate`.

    Args:
        problem: Its trials name the model, and the solver with its settings.
    """
    trials, examples = problem.trials, problem.examples
    pool, rows, labels = examples.splits["train"]
    models = {"gaussian_kernel": _gaussian_kernel_model}
    spec = trials[0].model
    gamma = references.call("model", references.look_up("model", models, spec), spec)
    sharing: dict[bytes, list[int]] = {}
    for index, size in enumerate(examples.sizes):
        sharing.setdefault(rows[index, :size].tobytes(), []).append(index)
    solutions = []
    for members in sharing.values():
        first, size = members[0], examples.sizes[members[0]]
        points = pool[rows[first, :size]].reshape(size, -1).astype("float32")
        one_hot = np.eye(examples.num_classes)[labels["labels"][members][:, :size]]
        targets = np.concatenate(list(one_hot), axis=1)
        generator = stream(trials[first].seed, "landmarks")
        progress = _Ticks(problem.tick, len(members))
        arguments = points, targets, gamma, generator, progress
        solution = references.call("solver", interpolate, trials[0].solver, *arguments)
        progress(1.0)
        solutions.append(_Shared(members, rows[first, :size], points, solution))
    return KernelPredictor(pool, examples.num_classes, gamma, solutions)


class _Ticks:
    """Converts progress from 0 to 1, of which the maximum counts, to fractions of some trials."""

    def __init__(self, tick: Callable[[float], None], members: int):
        self._tick, self._members, self._done = tick, members, 0.0

    def __call__(self, progress: float) -> None:
        if progress > self._done:
            self._tick(self._members * (progress - self._done))
            self._done = progress
