"""A phenomenon declares what to train, what to measure and what to test. It never trains or prints.

A folder of a few short files, one config, one file of published numbers: nothing else is edited to
add one.
"""

import importlib
import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tfphen.core import config as configs
from tfphen.core import references
from tfphen.core.errors import UsageError, nearest
from tfphen.core.trial import Spec, Trial
from tfphen.experiment import discovery
from tfphen.measures.basic import Measure
from tfphen.verdicts.published import Number, resource_folder

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

    from tfphen.train.loop import StepHook
    from tfphen.verdicts.findings import Signature
    from tfphen.verdicts.stats import Estimate


class _FromConfig:
    """A text that stands at the top of the phenomenon's config."""

    def __init__(self, key: str):
        self.key = key

    def __get__(self, instance: Any, owner: "type[Phenomenon]") -> str:
        path = owner.config_path()
        text = configs.read(path).about.get(self.key)
        if text is None:
            raise UsageError(f"The config {path} has no `{self.key}`: give it one at its top.")
        return text


class Phenomenon:
    """The base class. A subclass in `tfphen/phenomena/<id>/` or behind an entry point is found.

    Class attributes:
        id: Its name at the command line, that of its folder or module.
        title: A few words. By default, like the next two, read from its config.
        claim: What the paper says, in a sentence.
        paper: Authors, title, venue, arXiv id; `citation` in the config.
        Config: Its settings, a subclass of `tfphen.core.config.Config`.
        measures: Taken on each trained population.
        curve_measures: Taken also at each step of a trial's `curve`.
        models, objectives: Builders of its own by name, beside those of `tfphen.models` and
            `tfphen.train.objectives`.
        sources: Data sources of its own by name: functions of their settings, keyword-only, that
            return a `tfphen.data.Dataset`.
        starts: Where weights may begin, by the names that `Trial.start` uses: functions
            `(drawn, inputs, generator, **settings) -> (weights, masks)` of one trial. `drawn` has
            every weight by path as it comes from the trial's seed, `inputs` the arrays that the
            trial takes from other records; the result replaces weights by path, and masks with
            zeros and ones some that can be trained. All are NumPy arrays.
        solvers: Solvers by the names that `Trial.solver` uses: closed-form or non-gradient fits,
            see `tfphen.solvers.base.Solver`.
        step_hook: What trials with `record_every` record at an update, beside the loss: a
            `tfphen.train.loop.StepHook`, or None.
        statistics: What published numbers are compared with, by the names in their field
            `statistic`: functions `(table, config, setting, **arguments)` of the records of one
            paper experiment, its settings, and the number's `setting` and `arguments`. They return
            an `Estimate`, or a pair of that and the baseline's, or None where the records do not
            have it.

    Values of registries, a measure's function and the step hook may be references
    `"package.module:name"`, see `tfphen.core.references`: modules that import a backend are loaded
    so only when something trains.
    """

    id: ClassVar[str]
    title: ClassVar[str] = _FromConfig("title")
    claim: ClassVar[str] = _FromConfig("claim")
    paper: ClassVar[str] = _FromConfig("citation")
    Config: ClassVar[type[configs.Config]] = configs.Config
    measures: ClassVar[tuple[Measure, ...]] = ()
    curve_measures: ClassVar[tuple[Measure, ...]] = ()
    models: ClassVar[Mapping[str, Callable | str]] = {}
    objectives: ClassVar[Mapping[str, Callable | str]] = {}
    sources: ClassVar[Mapping[str, Callable | str]] = {}
    starts: ClassVar[Mapping[str, Callable | str]] = {}
    solvers: ClassVar[Mapping[str, Callable | str]] = {}
    step_hook: ClassVar["StepHook | str | None"] = None
    statistics: ClassVar[Mapping[str, Callable | str]] = {}

    def measures_of(self, trial: Trial) -> tuple[tuple[Measure, ...], tuple[Measure, ...]]:
        """Returns the measures and curve measures that a trial takes.

        Raises:
            UsageError: The trial names one that there is not.
        """
        if trial.measures is None:
            return self.measures, self.curve_measures
        known = {measure.name for measure in (*self.measures, *self.curve_measures)}
        if unknown := [name for name in trial.measures if name not in known]:
            raise UsageError(
                f"Unknown measure {unknown[0]!r} of {self.id}.{nearest(unknown[0], known)} "
                f"Allowed: {', '.join(sorted(known))}"
            )
        return tuple(
            tuple(measure for measure in group if measure.name in trial.measures)
            for group in (self.measures, self.curve_measures)
        )

    def trials(self, config: configs.Config) -> Iterable[Trial]:
        """Yields the grid of trials as plain data."""
        raise NotImplementedError

    def findings(self, table: "pandas.DataFrame", config: configs.Config) -> Iterable["Signature"]:
        """Yields signatures and negative controls, from records only, one row a trial.

        What findings and figure both compute from the table is in the room's `findings.py`.
        """
        raise NotImplementedError

    def reproductions(
        self, table: "pandas.DataFrame", config: configs.Config, number: Number
    ) -> "tuple[Estimate, Estimate | None] | None":
        """Returns our estimate, and that of its baseline, for a published number, or None.

        Args:
            table: The records of one paper experiment.
            config: Its settings.
            number: The published number.

        Raises:
            UsageError: It names a statistic that there is not, or with the wrong arguments.
        """
        if not number.statistic:
            return None
        wanted = Spec(number.statistic, **number.arguments)
        function = references.look_up("statistic", self.statistics, wanted)
        ours = references.call("statistic", function, wanted, table, config, number.setting)
        return ours if ours is None or isinstance(ours, tuple) else (ours, None)

    def figure(self, table: "pandas.DataFrame", config: configs.Config, figure: "Figure") -> None:
        """Draws the phenomenon into an empty Matplotlib figure.

        The default calls `draw(table, config, figure)` of the module `figure` beside this one.
        """
        room = type(self).__module__.rpartition(".")[0]
        importlib.import_module(f"{room}.figure").draw(table, config, figure)

    def __init_subclass__(cls, **settings: Any):
        super().__init_subclass__(**settings)
        parts = cls.__module__.split(".")
        # A room is a package with a module `phenomenon`; a small phenomenon is one module.
        cls.id = parts[-2] if parts[-1] == "phenomenon" and len(parts) > 1 else parts[-1]

    # ---- where its files are -------------------------------------------------------------------

    @classmethod
    def _file(cls, kind: str, beside: str) -> Path:
        shipped = resource_folder(kind) / f"{cls.id}.toml"
        if cls.__module__ == f"tfphen.phenomena.{cls.id}.phenomenon":
            return shipped
        return Path(inspect.getfile(cls)).with_name(beside)

    @classmethod
    def config_path(cls) -> Path:
        """Its config: `configs/<id>.toml`, or `<id>.toml` beside a module outside the package."""
        return cls._file("configs", f"{cls.id}.toml")

    @classmethod
    def published_path(cls) -> Path:
        """Its published numbers; `<id>.published.toml` beside a module outside the package."""
        return cls._file("published", f"{cls.id}.published.toml")

    @classmethod
    def current_finding_id(cls, name: str) -> str:
        """Returns the id that a finding has now, for one in a report that is older.

        Former ids are in `renamed_findings.json` beside the phenomenon's module, where there are
        any. An id that is not there is returned unchanged.
        """
        path = Path(inspect.getfile(cls)).with_name("renamed_findings.json")
        if not path.exists():
            return name
        return json.loads(path.read_text(encoding="utf-8")).get(name, name)

    @classmethod
    def configure(
        cls,
        size: str,
        experiment: str | None = None,
        overrides: Mapping[str, Any] | None = None,
    ) -> configs.Config:
        """Returns the settings of one size. See `tfphen.core.config.select`."""
        return configs.select(cls.Config, cls.config_path(), size, experiment, overrides)


def discover() -> dict[str, type[Phenomenon]]:
    """Returns every phenomenon by id: those of `tfphen/phenomena`, and those of entry points.

    Raises:
        UsageError: An entry point cannot be loaded, or has the id of another phenomenon.
    """
    return {name: _load(name) for name in known()}


def known() -> list[str]:
    """Returns the ids of all phenomena. None is imported."""
    return [*discovery.rooms(), *discovery.entry_points()]


def get(identifier: str) -> type[Phenomenon]:
    """Returns the phenomenon with this id. Others are not imported.

    Raises:
        UsageError: There is none; the message names the nearest.
    """
    if identifier not in known():
        raise UsageError(
            f"Unknown phenomenon {identifier!r}.{nearest(identifier, known())} "
            f"Allowed: {', '.join(known())}"
        )
    return _load(identifier)


def _load(identifier: str) -> type[Phenomenon]:
    rooms, points = discovery.rooms(), discovery.entry_points()
    if identifier not in points:
        module = importlib.import_module(rooms[identifier])
        return next(
            value
            for value in vars(module).values()
            if inspect.isclass(value)
            and issubclass(value, Phenomenon)
            and value.__module__ == module.__name__
        )
    point = points[identifier]
    try:
        value = point.load()
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"The entry point {identifier!r} of group {discovery.ENTRY_POINT_GROUP} cannot be "
            f"loaded: {error}. Repair or uninstall its package. Received: {point.value!r}"
        ) from error
    if not (inspect.isclass(value) and issubclass(value, Phenomenon)):
        raise UsageError(
            f"The entry point {identifier!r} of group {discovery.ENTRY_POINT_GROUP} must be a "
            f"subclass of tfphen.experiment.phenomenon.Phenomenon. Received: {value!r}"
        )
    value.id = identifier
    return value
