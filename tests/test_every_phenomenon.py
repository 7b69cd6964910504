"""What every phenomenon must satisfy: those of the package, and those that are installed beside it.

Nothing here names one. Smoke runs use seeds below 1000, which only explore.
"""

import json
import math
import subprocess
import sys
import time

import pytest

from tfphen.core import config as configs
from tfphen.core import references
from tfphen.core.trial import Trial
from tfphen.experiment import api, plan, runner
from tfphen.experiment.phenomenon import discover
from tfphen.verdicts import published
from tfphen.verdicts.findings import overall

PHENOMENA = discover()
# Of processor time, which a busy machine does not stretch: about 25 s on two cores.
SMOKE_SECONDS = 50.0

# Of the module: all tests of a phenomenon run one after the other, in one process, which so trains
# it once.
every = pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, id=name, marks=pytest.mark.xdist_group(name))
        for name, kind in PHENOMENA.items()
    ],
    scope="module",
)


def sections(kind):
    """Returns the pairs of size and experiment in the config of a phenomenon."""
    tables = configs.read(kind.config_path()).tables
    simple = [(size, None) for size in ("smoke", "small") if size in tables]
    return simple + [("paper", name) for name in configs.experiments(tables)]


@pytest.fixture(scope="module")
def smoke(tmp_path_factory, tensorflow):
    """Runs the smoke size of a phenomenon once. Returns the run, its folder and seconds."""
    known = {}

    def once(kind):
        if kind.id not in known:
            out = tmp_path_factory.mktemp(kind.id)
            started = time.process_time()
            run = api.run(kind.id, "smoke", seed=0, out=out)
            known[kind.id] = run, out, time.process_time() - started
        return known[kind.id]

    return once


@every
def test_metadata(kind):
    for name in ("id", "title", "claim", "paper"):
        text = getattr(kind, name)
        assert isinstance(text, str)
        assert text == text.strip() != ""
    assert kind.id.isidentifier()
    assert len(kind.title) <= 60
    assert kind.claim.endswith(".")
    names = [measure.name for measure in (*kind.measures, *kind.curve_measures)]
    assert kind.measures
    assert len(names) == len(set(names)) or len(set(kind.measures)) == len(kind.measures)


@pytest.fixture(scope="module")
def heavy_imports():
    """What the import of each phenomenon loads that takes seconds, in a process of its own.

    Each is imported after the one before it, so that what two of them load counts for the first.
    """
    code = """if True:
        import importlib, json, sys, traceback
        sys.path[:0], names = json.loads(sys.argv[1])
        heavy = {"tensorflow", "keras", "pandas", "matplotlib", "sklearn"}
        found, known = {}, set()
        for name in names:
            try:
                importlib.import_module(name)
                found[name] = sorted((heavy & set(sys.modules)) - known)
            except Exception:
                found[name] = [traceback.format_exc()]
            known = heavy & set(sys.modules)
        print(json.dumps(found))
    """
    path = [entry for entry in sys.path if entry]
    given = json.dumps([path, [kind.__module__ for kind in PHENOMENA.values()]])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, given], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@every
def test_is_light_to_import(kind, heavy_imports):
    assert not heavy_imports[kind.__module__], "\n".join(heavy_imports[kind.__module__])


@every
def test_every_size_has_settings(kind):
    file = configs.read(kind.config_path())
    header, tables = file.card, file.tables
    assert "minutes" in header, "the header card says how many minutes it takes"
    assert kind.id in header, "the header card gives the command"
    assert {"smoke", "small"} <= tables.keys()
    for size, experiment in sections(kind):
        config = kind.configure(size, experiment)
        assert isinstance(config, kind.Config)
        assert math.isfinite(config.minutes), f"{size} {experiment or ''}: minutes are not stated"
        assert config.machine


@every
def test_every_reference_loads(kind, tensorflow):
    """Also those that only a paper experiment uses, which no test trains."""
    registries = (kind.models, kind.objectives, kind.sources, kind.starts, kind.solvers)
    entries = [entry for registry in (*registries, kind.statistics) for entry in registry.values()]
    for size, experiment in sections(kind):
        for trial in kind().trials(kind.configure(size, experiment)):
            entries += [m.function for group in kind().measures_of(trial) for m in group]
    for entry in {*entries, kind.step_hook}:
        loaded = references.load(entry)
        assert loaded is None or callable(getattr(loaded, "function", loaded)), entry


@every
def test_plan_of_every_size(kind):
    for size, experiment in sections(kind):
        config = kind.configure(size, experiment)
        trials = list(kind().trials(config))
        assert trials
        assert all(isinstance(trial, Trial) for trial in trials)
        ids = [trial.id for trial in trials]
        # One training may have two rows in the table, but then their tags tell them apart.
        rows = {(trial.id, trial.tags) for trial in trials}
        assert len(rows) == len(trials), f"{size}: two trials are the same, tags included"
        for trial in trials:
            json.dumps(trial.to_json(), allow_nan=False)
        assert ids == [trial.id for trial in kind().trials(config)], "the plan changes"
        grouped = [trial.id for group in plan.groups(trials) for trial in group.trials]
        assert len(grouped) == len(set(grouped))
        assert set(ids) <= set(grouped)


@every
def test_seeds_are_those_that_were_asked_for(kind):
    few = kind.configure("smoke", overrides={"seeds": 2, "seed": 0})
    other = kind.configure("smoke", overrides={"seeds": 2, "seed": 50})
    first, second = ({trial.id for trial in kind().trials(config)} for config in (few, other))
    assert not first & second, "a trial does not depend on the seed"


@every
def test_published_numbers(kind):
    path = kind.published_path()
    assert path.exists(), f"there are no published numbers: {path}"
    experiments = [experiment for size, experiment in sections(kind) if size == "paper"]
    numbers = published.load_file(path)
    assert numbers
    if experiments:
        compared = [number for number in numbers if number.experiment in experiments]
        assert compared, f"no number is of one of the paper experiments {experiments}"


@every
def test_smoke_run_gives_records_and_findings(kind, smoke):
    run, out, seconds = smoke(kind)
    folder = api.folder_of(out, kind.id, "smoke")
    assert set(run.records) == set(run.table.trial)
    assert {f"{name}.json" for name in run.records} <= {path.name for path in folder.iterdir()}
    roles = [finding.role for finding in run.findings]
    assert roles.count("signature") >= 1
    assert roles.count("control") >= 1, "every phenomenon has a negative control"
    assert run.verdict == overall(run.findings)
    for comparison in run.published:
        assert comparison.verdict == "not run", "a smoke run is never compared with a paper"
    assert seconds < SMOKE_SECONDS, f"the smoke run took {seconds:.0f} s of processor time"


@every
def test_findings_follow_from_the_records_alone(kind, smoke):
    run, out, _ = smoke(kind)
    (again,) = api.read_runs(out)
    # Read back, and taken a second time from the same table.
    third = list(again.phenomenon.findings(again.table, again.config))
    texts = [
        json.dumps([finding.to_json() for finding in findings], allow_nan=False)
        for findings in (run.findings, again.findings, third)
    ]
    assert texts[0] == texts[1] == texts[2]


@every
def test_a_second_run_trains_nothing(kind, smoke):
    _, out, _ = smoke(kind)

    class Counting(runner.Progress):
        def begin(self, total, done):
            self.total, self.done = total, done

        def group(self, description):
            raise AssertionError(f"{description} trains again")

    progress = Counting()
    api.run(kind.id, "smoke", seed=0, out=out, progress=progress)
    assert progress.total == progress.done > 0


@every
def test_figure_draws(kind, smoke):
    from tfphen.experiment import plots

    run, _, _ = smoke(kind)
    svg = plots.to_svg(run.figure(), kind.id, kind.title)
    assert svg.startswith("<svg ")
    assert len(svg) < 2_000_000
