"""Runs a plan: reads the records of finished trials, trains the others in populations.

A killed run gives the same records when it is run again: populations depend on the plan alone, the
records of a population appear all at once, and long trainings resume from their last checkpoint.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tfphen.core import references
from tfphen.core.errors import TfphenError, UsageError
from tfphen.core.trial import Trial
from tfphen.experiment import plan, records
from tfphen.experiment.phenomenon import Phenomenon


class Progress:
    """Progress callbacks of a run. These do nothing; the command line shows a bar."""

    def begin(self, total: int, done: int) -> None:
        """Called first, with the number of trials and that of finished ones among them."""

    def group(self, description: str) -> None:
        """Called when a population begins to train."""

    def tick(self, trials: float) -> None:
        """Called with the amount of work just done, in units of trials."""

    def end(self) -> None:
        """Called when everything is done."""


def check_environment() -> None:
    """Checks that the environment variables select Keras 3 on TensorFlow.

    Raises:
        UsageError: They do not.
    """
    if "TF_USE_LEGACY_KERAS" in os.environ:
        raise UsageError(
            "TF_USE_LEGACY_KERAS is set, which breaks Keras 3. Unset it and run again."
        )
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if backend != "tensorflow":
        raise UsageError(
            "Training needs Keras on TensorFlow. Unset KERAS_BACKEND and run again. "
            f"Received: KERAS_BACKEND={backend}"
        )


def writable_folder(folder: str | Path) -> Path:
    """Creates `folder` and returns it.

    Raises:
        TfphenError: It cannot be created or written to.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise TfphenError(
            f"The folder {folder} cannot be written: {error.strerror}. Choose another with --out."
        ) from None
    return folder


def run(
    phenomenon: Phenomenon,
    trials: Iterable[Trial],
    folder: str | Path,
    strategy: str = "auto",
    data_dir: str | Path | None = None,
    shard: tuple[int, int] = (1, 1),
    deterministic: bool = False,
    progress: Progress | None = None,
    prepare: Callable[[], None] = lambda: None,
) -> dict[str, records.Record]:
    """Runs trials and returns their records by id.

    Args:
        phenomenon: The phenomenon, which declares the measures.
        trials: The plan.
        folder: Folder of the records of this phenomenon.
        strategy: Name of a strategy, see `tfphen.train.strategy.get`.
        data_dir: Directory to search first for prepared datasets.
        shard: `(i, n)` runs every n-th population from the i-th on, so that n processes or
            machines that share `folder` cover the whole plan.
        deterministic: Whether to enable deterministic ops, which are slower.
        progress: Progress callbacks.
        prepare: Called once before anything trains, such as to load TensorFlow.
    """
    check_environment()
    progress = progress or Progress()
    folder = writable_folder(folder)
    records.recover(folder)
    trials = list(trials)
    groups = plan.groups(trials)
    wanted = [trial for group in groups for trial in group.trials]
    known = records.read_trials(folder, wanted)
    names = {
        trial.id: {measure.name for measure in phenomenon.measures_of(trial)[0]} for trial in wanted
    }
    for identifier, record in known.items():
        absent = names[identifier] - record.values.keys() - record.arrays.keys()
        if absent:
            raise TfphenError(
                f"Record {identifier} in {folder} was written by a version of {phenomenon.id} that "
                f"did not measure {', '.join(sorted(absent))}. Use another --out, or delete it."
            )
    if shard != (1, 1):
        groups = [
            group
            for number, group in enumerate(groups)
            if number % shard[1] == shard[0] - 1 or _needed(group, groups, shard)
        ]
    mine = [trial.id for group in groups for trial in group.trials]
    if any(identifier not in known for identifier in mine):
        prepare()
    progress.begin(len(mine), sum(identifier in known for identifier in mine))
    for group in groups:
        missing = [trial for trial in group.trials if trial.id not in known]
        if missing:
            settings = {"strategy": strategy, "deterministic": deterministic}
            known |= _train(phenomenon, missing, known, folder, settings, data_dir, progress)
    progress.end()
    # With the records that other shards have finished meanwhile.
    return known | records.read_trials(folder, [t for t in wanted if t.id not in known])


def _needed(group: plan.Group, groups: list[plan.Group], shard: tuple[int, int]) -> bool:
    """Whether a population of this shard uses results of `group`."""
    own = {trial.id for trial in group.trials}
    return any(
        result.trial.id in own
        for number, other in enumerate(groups)
        if number % shard[1] == shard[0] - 1
        for trial in plan.with_parents(other.trials)
        for result in trial.inputs.values()
    )


def _train(
    phenomenon: Phenomenon,
    trials: Sequence[Trial],
    known: Mapping[str, records.Record],
    folder: Path,
    settings: Mapping[str, Any],
    data_dir: str | Path | None,
    progress: Progress,
) -> dict[str, records.Record]:
    """Trains one population, writes its records and returns them by trial id."""
    # By reference: TensorFlow is imported only when something is left to train.
    start = references.load("tfphen.experiment.training:start")
    train = references.load("tfphen.experiment.training:train")
    strategy = start(**settings)
    progress.group(f"{phenomenon.id}: {trials[0].model}")
    digest = hashlib.sha256("".join(trial.id for trial in trials).encode()).hexdigest()[:16]
    path = folder / ".checkpoints" / f"{digest}.npz"

    def inputs(trial: Trial) -> dict[str, Any]:
        return {
            name: known[result.trial.id].arrays[result.array]
            for name, result in trial.inputs.items()
        }

    outcomes = train(phenomenon, trials, inputs, strategy, data_dir, path, progress.tick)
    made = [
        records.Record(
            trial_id=outcome.trial.id,
            phenomenon=phenomenon.id,
            trial=outcome.trial.to_json(),
            values=outcome.values,
            arrays=outcome.arrays,
            environment=records.environment(
                {**outcome.environment, "seed": outcome.trial.seed, **settings}
            ),
            seconds=outcome.seconds,
        )
        for outcome in outcomes
    ]
    records.write_group(made, folder)
    for leftover in path.parent.glob(f"{digest}*"):
        leftover.unlink(missing_ok=True)
    return {record.trial_id: record for record in made}


def shard_of(text: str) -> tuple[int, int]:
    """Parses `i/n`, with 1 <= i <= n."""
    try:
        index, count = (int(part) for part in text.split("/"))
    except ValueError:
        index, count = 0, 0
    if not 1 <= index <= count:
        raise UsageError(f"--shard is i/n with 1 <= i <= n. Received: {text!r}")
    return index, count
