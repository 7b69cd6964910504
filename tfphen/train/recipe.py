"""What a population trains with, as objects: the specs of its trials, resolved once."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import keras
import numpy as np

from tfphen.core.trial import Trial
from tfphen.measures.basic import Measure
from tfphen.population.optimizers import MemberOptimizer
from tfphen.population.population import Population
from tfphen.solvers.base import Solver
from tfphen.train.initialization import Initializer
from tfphen.train.loop import StepHook
from tfphen.train.objectives import Objective


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Trials that share a computation graph, and everything that they name.

    Attributes:
        trials: The members.
        sources: Data sources beside those of `tfphen.data`, by name.
        model: `(input_shape, num_classes) -> keras.Model`.
        objective: What is minimized.
        optimizer: `(members, num_steps) -> MemberOptimizer`, with the rates and the schedule of
            each member.
        solver: What fits instead of gradient descent; None for gradient descent.
        augment: As in `batches.DeviceBatches`; None for no augmentation.
        mixup: `(keys) -> draw`, as in `population.mixup`; None for no mixup.
        initializers: Where the weights of each member begin.
        measures: Taken at the end.
        curve_measures: Taken at the steps of the trials' `curve` and at the end.
        step_hook: Recorded at single updates; None for nothing.
    """

    trials: tuple[Trial, ...]
    sources: Mapping[str, Callable]
    model: Callable[[tuple[int, ...], int], keras.Model]
    objective: Objective
    optimizer: Callable[[Population, Sequence[int]], MemberOptimizer]
    solver: Solver | None
    augment: Callable | None
    mixup: Callable[[np.ndarray], Callable] | None
    initializers: tuple[Initializer, ...]
    measures: tuple[Measure, ...]
    curve_measures: tuple[Measure, ...]
    step_hook: StepHook | None

    def take(self, first: int, last: int) -> "Recipe":
        """Returns the recipe of the trials from `first` to before `last` alone."""
        mine = slice(first, last)
        return dataclasses.replace(
            self, trials=self.trials[mine], initializers=self.initializers[mine]
        )
