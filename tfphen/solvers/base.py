"""The protocol of solvers: closed-form fits, or fits by their own algorithm."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from tfphen.core.trial import Trial

if TYPE_CHECKING:
    from tfphen.population.population import Population
    from tfphen.population.prediction import WithModel


class Fitted(Protocol):
    """Fits of several members, such as a `tfphen.population.prediction.Predictor`.

    Attributes:
        execution: The method by which the fits were computed; its text is part of each record.
        num_parameters: Number of parameters of one member.
        diagnostics: Per-member solver diagnostics, such as iterations or residuals, arrays
            `[members, ...]` by name. See `tfphen.measures.basic.diagnostic`.
    """

    execution: Any
    num_parameters: int
    diagnostics: Mapping[str, np.ndarray]

    def predict(
        self, inputs: np.ndarray, rows: np.ndarray | None = None, layers: Sequence[str] = ()
    ) -> Any:
        """Returns outputs `[members, n, ...]`, see `Predictor.predict`."""


class FittedPopulation(Fitted, Protocol):
    """Fits that are a population of Keras models.

    Attributes:
        members: The population.
    """

    members: "Population"

    def through(self, function: "WithModel", inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Returns `function(apply, inputs, labels)` for all examples, see `Predictor.through`."""


@dataclasses.dataclass(frozen=True)
class Problem:
    """The problem that a solver solves.

    Args:
        trials: The members, which share a computation graph.
        examples: Their data, a `tfphen.train.examples.Examples`.
        tick: Called with the amount of work just done, in units of trials.
        population: Creates a population of the trials' model with its initial weights, for solvers
            that fit part of one.
        record: `(fitted, step)` takes the curve measures at one of `points`, for solvers that
            emulate the steps of a training.
        points: The steps at which curve measures are due, the last step included; `(None,)` for a
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
