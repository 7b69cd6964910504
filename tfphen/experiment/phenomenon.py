"""The base class of phenomena, and their discovery. A phenomenon never trains and never prints.

A folder of a few short files, one config, one file of published numbers: nothing else is edited to
add one.
"""

import importlib
import inspect
import json
from collections.abc import Iterable, Mapping
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

    from tfphen.experiment.registries import (
        ModelBuilder,
        ObjectiveFactory,
        Reference,
        Source,
        Start,
        Statistic,
    )
    from tfphen.solvers.base import Solver
    from tfphen.train.loop import StepHook
    from tfphen.verdicts.findings import Signature
    from tfphen.verdicts.stats import Estimate


class _FromConfig:
    """A text at the top of the phenomenon's config."""

    def __init__(self, key: str):
        self.key = key

    def __get__(self, instance: Any, owner: "type[Phenomenon]") -> str:
        path = owner.config_path()
        text = configs.read(path).about.get(self.key)
        if text is None:
            raise UsageError(f"The config {path} has no `{self.key}`: give it one at its top.")
        return text


def _from_config(key: str) -> Any:
    return _FromConfig(key)


class Phenomenon:
    """The trials, measures and findings of one phenomenon.

    Subclasses in `tfphen/phenomena/<id>/` and behind entry points are discovered.

    Class attributes:
        id: Its name at the command line, that of its folder or module.
        title: A few words. By default, like the next two, read from its config.
        claim: The paper's claim, in a sentence.
        paper: Authors, title, venue, arXiv id; `citation` in the config.
        Config: Its settings, a subclass of `tfphen.core.config.Config`.
        measures: Measures taken on each trained population.
        curve_measures: Measures taken also at each step of a trial's `curve`.
        models: Model builders beside those of `tfphen.models`, for `Trial.model`.
        objectives: Objective factories beside those of `tfphen.train.loss_objectives`, for
            `Trial.objective`.
        sources: Data sources beside those of `tfphen.data`, for `Data.name`.
        starts: Initial weights beside `drawn`, for `Trial.start`.
        solvers: Closed-form or non-gradient fits, for `Trial.solver`.
        step_hook: Values that trials with `record_every` record beside the loss, or None.
        statistics: Statistics that published numbers are compared with, for their field
            `statistic`.

    Registries hold their entries by name; `tfphen.experiment.registries` describes the types.
    Values of registries, a measure's function and the step hook may be references
    `"package.module:name"`, see `tfphen.core.references`, so that modules that import a backend
    are loaded only when something trains.
    """

    id: ClassVar[str]
    title: ClassVar[str] = _from_config("title")
    claim: ClassVar[str] = _from_config("claim")
    paper: ClassVar[str] = _from_config("citation")
    Config: ClassVar[type[configs.Config]] = configs.Config
    measures: ClassVar[tuple[Measure, ...]] = ()
    curve_measures: ClassVar[tuple[Measure, ...]] = ()
    models: ClassVar["Mapping[str, ModelBuilder | Reference]"] = {}
    objectives: ClassVar["Mapping[str, ObjectiveFactory | Reference]"] = {}
    sources: ClassVar["Mapping[str, Source | Reference]"] = {}
    starts: ClassVar["Mapping[str, Start | Reference]"] = {}
    solvers: ClassVar["Mapping[str, Solver | Reference]"] = {}
    step_hook: ClassVar["StepHook | Reference | None"] = None
    statistics: ClassVar["Mapping[str, Statistic | Reference]"] = {}

    def measures_of(self, trial: Trial) -> tuple[tuple[Measure, ...], tuple[Measure, ...]]:
        """Returns the measures and curve measures that a trial takes.

        Raises:
            UsageError: The trial requests an unknown measure.
        """
        if trial.measures is None:
            return self.measures, self.curve_measures
        known = {measure.name for measure in (*self.measures, *self.curve_measures)}
        if unknown := [name for name in trial.measures if name not in known]:
            raise UsageError(
                f"Unknown measure {unknown[0]!r} of {self.id}.{nearest(unknown[0], known)} "
                f"Allowed: {', '.join(sorted(known))}"
            )
        taken, along_curve = (
            tuple(measure for measure in group if measure.name in trial.measures)
            for group in (self.measures, self.curve_measures)
        )
        return taken, along_curve

    def trials(self, config: configs.Config) -> Iterable[Trial]:
        """Yields the grid of trials as plain data."""
        raise NotImplementedError

    def findings(self, table: "pandas.DataFrame", config: configs.Config) -> Iterable["Signature"]:
        """Yields signatures and negative controls.

        Args:
            table: The records, one row a trial.
            config: The settings.
        """
        raise NotImplementedError

    def reproductions(
        self, table: "pandas.DataFrame", config: configs.Config, number: Number
    ) -> "tuple[Estimate, Estimate | None] | None":
        """Returns our estimate of a published number, and that of its baseline, or None.

        Args:
            table: The records of one paper experiment.
            config: Its settings.
            number: The published number.

        Raises:
            UsageError: It names an unknown statistic, or has the wrong arguments for it.
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

    # ---- files ---------------------------------------------------------------------------------

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
        """Returns the current id of a finding from an older report.

        Former ids are in `renamed_findings.json` beside the phenomenon's module, if any. Other ids
        are returned unchanged.
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
