"""Orders trials, and groups those that share a computation graph into populations."""

import dataclasses
import json
from collections.abc import Iterable
from typing import Any

from tfphen.core.trial import Trial

# Larger populations take more memory and gain no speed.
_MOST_MEMBERS = 256


@dataclasses.dataclass(frozen=True)
class Group:
    """Trials that train together, and the key of their shared graph."""

    key: str
    trials: tuple[Trial, ...]


def graph_key(trial: Trial) -> str:
    """Returns the settings that two trials must share to train in one population.

    They may differ in seeds, label noise and subsets of the data, inputs from other trials, initial
    weights, constants of the objective, learning rate, weight decay and ridge.
    """
    settings: dict[str, Any] = trial.to_json()
    for free in ("seed", "stream_seeds", "start"):
        settings.pop(free, None)
    data = dict(settings.get("data", {}))
    for free in ("corruptions", "validation_corruptions"):
        data.pop(free, None)
    data["options"] = {k: v for k, v in data.get("options", {}).items() if k != "generator_seed"}
    settings["data"] = data
    settings["optimizer"] = {
        name: value
        for name, value in settings.get("optimizer", {"name": trial.optimizer.name}).items()
        if name not in ("learning_rate", "weight_decay")
    }
    if trial.solver is not None:
        settings["solver"] = {k: v for k, v in settings["solver"].items() if k != "ridge"}
    settings["inputs"] = {name: r.array for name, r in trial.inputs.items()}
    settings["constants"] = sorted(trial.constants)
    return json.dumps(settings, sort_keys=True)


def with_parents(trials: Iterable[Trial]) -> list[Trial]:
    """Returns the trials and those whose results they use, without duplicates, parents first."""
    ordered: dict[str, Trial] = {}

    def visit(trial: Trial) -> None:
        if trial.id in ordered:
            return
        for result in trial.inputs.values():
            visit(result.trial)
        ordered[trial.id] = trial

    for trial in trials:
        visit(trial)
    return list(ordered.values())


def groups(trials: Iterable[Trial]) -> list[Group]:
    """Returns populations, ordered so that every trial follows those whose results it uses.

    The composition depends on the whole plan, never on finished trials, so that a killed run
    resumes with the same populations.
    """
    found: dict[tuple[int, str], list[Trial]] = {}
    for trial in with_parents(trials):
        found.setdefault((trial.level, graph_key(trial)), []).append(trial)
    result = []
    for (_, key), members in sorted(found.items(), key=lambda item: item[0][0]):
        for first in range(0, len(members), _MOST_MEMBERS):
            result.append(Group(key, tuple(members[first : first + _MOST_MEMBERS])))
    return result
