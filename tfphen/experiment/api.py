"""Runs phenomena from Python: `tfphen.run("double_descent", size="small")`."""

import functools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfphen.core import config as configs
from tfphen.core.errors import TfphenError
from tfphen.experiment import phenomenon, plots, record_format, records, runner
from tfphen.verdicts import findings, published
from tfphen.verdicts.comparison import Comparison, compare

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

DEFAULT_FOLDER = "runs"


class Unfinished(TfphenError):
    """Some trials have not run yet, such as those of another shard."""


class Run:
    """One phenomenon at one size, with its records.

    Args:
        kind: The phenomenon.
        size: `"smoke"`, `"small"` or `"paper"`.
        experiment: The paper experiment, or None.
        config: The settings.
        known: Records by trial id.
        overrides: The settings that replace those of the config file.

    Raises:
        Unfinished: Not every trial has a record.

    Attributes:
        table: A DataFrame with one row a trial: tags, values and arrays.
        findings: The signatures and controls with their verdicts.
        verdict: `"present"`, `"absent"` or `"inconclusive"`.
    """

    def __init__(
        self,
        kind: type[phenomenon.Phenomenon],
        size: str,
        experiment: str | None,
        config: configs.Config,
        known: Mapping[str, records.Record],
        overrides: Mapping[str, Any] | None = None,
    ):
        self.phenomenon, self.size, self.experiment, self.config = kind(), size, experiment, config
        self.overrides = dict(overrides or {})
        trials = list(self.phenomenon.trials(config))
        missing = [trial.id for trial in trials if trial.id not in known]
        if missing:
            raise Unfinished(
                f"{len(missing)} of {len(trials)} trials of {kind.id} are not run yet. "
                "Run its command again, or its other shards: finished trials are kept."
            )
        self.records = {trial.id: known[trial.id] for trial in trials}
        self._rows = [(trial.tags, known[trial.id]) for trial in trials]

    @functools.cached_property
    def table(self) -> "pandas.DataFrame":
        return records.table(self._rows)

    @functools.cached_property
    def findings(self) -> list[findings.Signature]:
        return list(self.phenomenon.findings(self.table, self.config))

    @property
    def verdict(self) -> str:
        return findings.overall(self.findings)

    @functools.cached_property
    def published(self) -> list[Comparison]:
        """Each published number beside ours. Only a paper experiment is ever compared."""
        path = self.phenomenon.published_path()
        numbers = published.load_file(path) if path.exists() else ()
        comparisons = []
        for number in numbers:
            ours = None
            if self.size == "paper" and number.experiment == self.experiment:
                ours = self.phenomenon.reproductions(self.table, self.config, number)
            estimate, baseline = ours or (None, None)
            changed = [name for name in self.overrides if name not in ("seeds", "seed")]
            differs = (*getattr(self.config, "differs", ()), *(f"--set {c}" for c in changed))
            comparisons.append(compare(number, estimate, baseline, differs))
        return comparisons

    def figure(self) -> "Figure":
        """Draws the phenomenon. Returns a Matplotlib figure."""
        from matplotlib.figure import Figure

        with plots.style():
            figure = Figure(figsize=(8.0, 4.5), layout="constrained")
            self.phenomenon.figure(self.table, self.config, figure)
        return figure

    def __repr__(self) -> str:
        return f"<{self.phenomenon.id} {self.size}: {self.verdict}, {len(self._rows)} trials>"


def folder_of(out: str | Path, identifier: str, size: str, experiment: str | None = None) -> Path:
    """Returns the folder of a phenomenon's records at a size, below `out`."""
    return Path(out) / identifier / "-".join(filter(None, (size, experiment)))


def run(
    identifier: str,
    size: str = "small",
    experiment: str | None = None,
    seeds: int | None = None,
    seed: int | None = None,
    overrides: Mapping[str, Any] | None = None,
    out: str | Path = DEFAULT_FOLDER,
    **settings: Any,
) -> Run:
    """Runs the trials of a phenomenon that have no record yet, and returns all of them.

    Args:
        identifier: Its id, see `tfphen list`.
        size: `"smoke"` (seconds), `"small"` (minutes) or `"paper"` (the paper's protocol).
        experiment: The experiment of the paper size.
        seeds: Number of seeds; by default the config's.
        seed: First seed; by default the config's.
        overrides: Nested settings that replace the config's.
        out: Folder of the records.
        **settings: `strategy`, `data_dir`, `shard`, `deterministic`, `progress`, `prepare` of
            `runner.run`.

    Returns:
        A `Run` with `.table`, `.findings`, `.verdict` and `.figure()`.

    Raises:
        Unfinished: Trials of other shards have not run yet.

    Example:

    ```python
    result = tfphen.run("double_descent", size="smoke")
    print(result.verdict, result.table.head())
    ```
    """
    kind = phenomenon.get(identifier)
    given = {"seeds": seeds, "seed": seed}
    values = {**(overrides or {}), **{k: v for k, v in given.items() if v is not None}}
    config = kind.configure(size, experiment, values)
    if size == "paper" and experiment is None:
        (experiment,) = configs.experiments(configs.read(kind.config_path()).tables)
    folder = folder_of(out, kind.id, size, experiment)
    known = runner.run(kind(), kind().trials(config), folder, **settings)
    finished = Run(kind, size, experiment, config, known, values)
    _write_settings(folder, size, experiment, values)
    return finished


_SETTINGS = "run.json"


def _write_settings(
    folder: Path, size: str, experiment: str | None, values: Mapping[str, Any]
) -> None:
    """Stores the settings of the last finished run of a folder, for reports."""
    text = json.dumps({"size": size, "experiment": experiment, "overrides": values}, indent=1)
    record_format.write_atomically(folder / _SETTINGS, text.encode("utf-8"))


def read_runs(out: str | Path, left_out: Callable[[Unfinished], None] | None = None) -> list[Run]:
    """Returns every run below `out`, from its records alone. Nothing is trained.

    Args:
        out: Folder of the records.
        left_out: Called for a run whose records are incomplete, as after its config changed; None
            raises an error for such a run.

    Raises:
        TfphenError: There is none, or a record is damaged.
        Unfinished: The records of a run are incomplete.
    """
    runs = []
    for path in sorted(Path(out).glob(f"*/*/{_SETTINGS}")):
        try:
            noted = json.loads(path.read_text(encoding="utf-8"))
            size, experiment, values = noted["size"], noted["experiment"], noted["overrides"]
        except (OSError, ValueError, KeyError, TypeError):
            raise TfphenError(
                f"{path} is damaged. Delete it and run the phenomenon again: finished trials "
                "are not trained twice."
            ) from None
        kind = phenomenon.get(path.parent.parent.name)
        config = kind.configure(size, experiment, values)
        known = records.read_trials(path.parent, kind().trials(config))
        try:
            runs.append(Run(kind, size, experiment, config, known, values))
        except Unfinished as error:
            if left_out is None:
                raise
            left_out(error)
    if not runs:
        raise TfphenError(f"There are no runs in {out}. Run `tfphen run ID --out {out}` first.")
    return runs
