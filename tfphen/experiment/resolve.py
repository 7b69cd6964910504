"""Resolves the specs of trials into the objects that a population trains with."""

from collections.abc import Callable, Sequence

import keras
import numpy as np

from tfphen import models
from tfphen.core import references
from tfphen.core.trial import Spec, Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.population.mixup import MIXINGS, DrawMixture
from tfphen.population.optimizers import ELEMENTWISE, MemberOptimizer
from tfphen.population.population import Population
from tfphen.solvers import SOLVERS
from tfphen.train.augmentation import AUGMENTATIONS, Augment
from tfphen.train.initialization import Initializer, drawn
from tfphen.train.loss_objectives import OBJECTIVES
from tfphen.train.objectives import Objective
from tfphen.train.recipe import Recipe
from tfphen.train.schedules import SCHEDULES

OPTIMIZERS = {optimizer.__name__.lower(): optimizer for optimizer in ELEMENTWISE}


def recipe_of(phenomenon: Phenomenon, trials: Sequence[Trial]) -> Recipe:
    """Returns the recipe of trials that share a computation graph.

    Args:
        phenomenon: The phenomenon, whose registries are searched first.
        trials: The trials of one `plan.Group`.

    Raises:
        UsageError: A spec has an unknown name or wrong settings.
    """
    first = trials[0]
    measures, curve_measures = phenomenon.measures_of(first)
    solver = None
    if first.solver is not None:
        solver = references.look_up("solver", {**SOLVERS, **phenomenon.solvers}, first.solver)
    descends = solver is None
    return Recipe(
        trials=tuple(trials),
        sources=phenomenon.sources,
        model=_model(phenomenon, first.model),
        objective=_objective(phenomenon, first.objective) if descends else None,
        optimizer=_optimizer(trials) if descends else None,
        solver=solver,
        augment=_augment(first.augmentation),
        mixup=_mixup(first.mixing),
        initializers=tuple(_initializer(phenomenon, trial) for trial in trials),
        measures=measures,
        curve_measures=curve_measures,
        step_hook=references.load(phenomenon.step_hook),
    )


def _model(phenomenon: Phenomenon, spec: Spec) -> Callable[[tuple[int, ...], int], keras.Model]:
    # Looked up when a model is built: trials of a solver may name a model that only it knows.
    def build(input_shape: tuple[int, ...], num_classes: int) -> keras.Model:
        builder = references.look_up("model", {**models.MODELS, **phenomenon.models}, spec)
        return references.call("model", builder, spec, input_shape, num_classes)

    return build


def _objective(phenomenon: Phenomenon, spec: Spec) -> Objective:
    table = {**OBJECTIVES, **phenomenon.objectives}
    factory = references.look_up("objective", table, spec)
    objective: Objective = references.call("objective", factory, spec)
    return objective


def _augment(spec: Spec) -> Augment | None:
    function = references.look_up("augmentation", AUGMENTATIONS, spec)
    return references.bind("augmentation", function, spec, 4) if function is not None else None


def _mixup(spec: Spec) -> Callable[[np.ndarray], DrawMixture] | None:
    function = references.look_up("mixing", MIXINGS, spec)
    return references.bind("mixing", function, spec, 1) if function is not None else None


def _initializer(phenomenon: Phenomenon, trial: Trial) -> Initializer:
    function = references.look_up("start", {"drawn": drawn, **phenomenon.starts}, trial.start)
    return references.bind("start", function, trial.start, 3)


def _optimizer(trials: Sequence[Trial]) -> Callable[[Population, Sequence[int]], MemberOptimizer]:
    spec, schedule_spec = trials[0].optimizer, trials[0].schedule
    make = references.look_up("optimizer", OPTIMIZERS, spec)
    function = references.look_up("schedule", SCHEDULES, schedule_spec)
    schedule = references.bind("schedule", function, schedule_spec, 2)
    own = ("learning_rate", "weight_decay", "coupled")
    fixed = {name: value for name, value in spec.settings.items() if name not in own}
    default = keras.ops.convert_to_numpy(make().learning_rate).item()
    rates = [trial.optimizer.settings.get("learning_rate", default) for trial in trials]
    decays = [trial.optimizer.settings.get("weight_decay", 0.0) for trial in trials]

    def optimizer(members: Population, num_steps: Sequence[int]) -> MemberOptimizer:
        return MemberOptimizer(
            make(learning_rate=1.0, weight_decay=0.0, **fixed),
            members,
            rates,
            decays,
            spec.settings.get("coupled", False),
            schedule,
            np.asarray(num_steps),
        )

    return optimizer
