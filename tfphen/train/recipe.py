"""The recipe of a population: the specs of its trials, resolved once into objects."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import keras
import numpy as np

from tfphen.core.trial import Trial
from tfphen.data import Dataset
from tfphen.measures.basic import Measure
from tfphen.population.mixup import DrawMixture
from tfphen.population.optimizers import MemberOptimizer
from tfphen.population.population import Population
from tfphen.solvers.base import Solver
from tfphen.train.augmentation import Augment
from tfphen.train.initialization import Initializer
from tfphen.train.loop import StepHook
from tfphen.train.objectives import Objective


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Trials that share a computation graph, and the objects that their specs name.

    Attributes:
        trials: The members.
        sources: Data sources beside those of `tfphen.data`, by name.
        model: `(input_shape, num_classes) -> keras.Model`.
        objective: The training objective; None with a solver.
        optimizer: `(members, num_steps) -> MemberOptimizer`, with the rates and the schedule of
            each member; None with a solver.
        solver: The solver; None for gradient descent.
        augment: Augmentation of the inputs; None for none.
        mixup: `(keys) -> draw`, see `tfphen.population.mixup`; None for no mixup.
        initializers: The initializer of each member's weights.
        measures: Measures taken at the end.
        curve_measures: Measures taken at the steps of the trials' `curve` and at the end.
        step_hook: Values recorded at updates, beside the loss; None for none.
    """

    trials: tuple[Trial, ...]
    sources: Mapping[str, Callable[..., Dataset] | str]
    model: Callable[[tuple[int, ...], int], keras.Model]
    objective: Objective | None
    optimizer: Callable[[Population, Sequence[int]], MemberOptimizer] | None
    solver: Solver | None
    augment: Augment | None
    mixup: Callable[[np.ndarray], DrawMixture] | None
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
