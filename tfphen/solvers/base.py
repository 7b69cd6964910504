"""The protocol of solvers: closed-form fits, or fits by a program of their own."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tfphen.core.trial import Trial

if TYPE_CHECKING:
    from tfphen.population.population import Population


class Fitted(Protocol):
    """What fits of several members give. A `tfphen.population.prediction.Predictor` is one.

    Attributes:
        execution: How the fits were computed; its text is part of each record.
        num_parameters: Numbers in the parameters of one member.
        diagnostics: What the solver reports of each member, such as its iterations or residuals,
            arrays `[members, ...]` by name. See `tfphen.measures.basic.diagnostic`.
    """

    execution: Any
    num_parameters: int
    diagnostics: Mapping[str, np.ndarray]

    def predict(
        self, inputs: np.ndarray, rows: np.ndarray | None = None, layers: Sequence[str] = ()
    ) -> Any:
        """Returns outputs `[members, n, ...]`, see `Predictor.predict`."""


@dataclasses.dataclass(frozen=True)
class Problem:
    """What a solver is given.

    Args:
        trials: The members, which share a computation graph.
        examples: Their data, a `tfphen.train.examples.Examples`.
        tick: Called with the number of trials' worth of work just done.
        population: Makes a population of the trials' model with its initial weights, for solvers
            that fit part of one.
        record: `(fitted, step)` takes the curve measures, for solvers that stand for the points of
            a training; `step` is one of `points`.
        points: The steps at which curve measures are due, ending with the last; `(None,)` for a
            fit without steps.
    """

    trials: Sequence[Trial]
    examples: Any
    tick: Callable[[float], None] = lambda share: None
    population: "Callable[[], Population] | None" = None
    record: Callable[[Fitted, int | None], None] = lambda fitted, step: None
    points: tuple[int | None, ...] = (None,)


class Solver(Protocol):
    """Fits all members of a problem."""

    def __call__(self, problem: Problem) -> Fitted:
        """Returns the fits."""
