"""Variance between runs: the grid, and findings on tables with and without the effect."""

import collections
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from tfphen.core.errors import UsageError
from tfphen.experiment import plan
from tfphen.phenomena.run_variance.phenomenon import RunVariance
from tfphen.phenomena.run_variance.trials import Config
from tfphen.verdicts import findings, published

from .. import harness

SPLITS, RUNS, POINTS = 6, 60, 300


def errors(generator, quality=0.0):
    """Errors of runs whose error rates have this standard deviation, bool."""
    rates = generator.uniform(0.05, 0.6, POINTS)
    shifts = quality * generator.standard_normal((RUNS, 1))
    return generator.random((RUNS, POINTS)) < np.clip(rates + shifts, 0, 1)


def table(short=0.1, long=0.0, unequal=0.1, convex=None):
    """A findings table; each arm is a quality spread, or None for runs that are all the same."""
    rows = []
    for arm, quality in {
        "short": short,
        "long": long,
        "unequal": unequal,
        "convex": convex,
    }.items():
        for split in range(SPLITS):
            generator = np.random.default_rng([split, len(arm)])
            misclassified = errors(generator, quality or 0.0)
            if quality is None:
                misclassified = np.tile(misclassified[:1], (RUNS, 1))
            labels = generator.integers(0, 4, POINTS).astype("uint16")
            for run in misclassified:
                rows.append(
                    {
                        "arm": arm,
                        "split": split,
                        "epochs": {"short": 1.0, "long": 40.0}.get(arm, 0.0),
                        "test_error": run.mean(),
                        "test_wrong": run,
                        "test_labels": labels,
                        "test_predictions": ((labels + run) % 4).astype("uint8"),
                    }
                )
    return pd.DataFrame(rows)


def verdicts(rows, config=None):
    config = config or Config()
    results = list(RunVariance().findings(rows, config))
    return {result.id: result.verdict for result in results}, findings.overall(results)


class TestFindings(harness.Findings):
    kind, config = RunVariance, Config()
    FLIPS: ClassVar = {
        "short/variance_ratio": {"short": 0.0},
        "short/variance_ratio_over_long": {"short": 0.0},
        "short/half_correlation": {"short": 0.0},
        "long/variance_ratio": {"long": 0.1},
        "long/half_correlation": {"long": 0.1},
        "long/test_error_sd": {"long": None},
    }
    ANSWERS: ClassVar = {
        "unequal/variance_ratio": {"unequal": 0.0},
        "convex/test_error_sd": {"convex": 0.0},
    }

    def table(self, change):
        return table(**change)

    def test_long_runs_with_real_differences_are_detected(self):
        by_id, overall = self.verdicts({"long": 0.1})
        assert by_id["short/variance_ratio_over_long"] == "absent"
        assert overall == "absent"


def test_without_any_spread_the_ratio_is_undefined_and_nothing_is_claimed():
    by_id, overall = verdicts(table(long=None))
    assert by_id["long/variance_ratio"] == "inconclusive"
    assert by_id["long/test_error_sd"] == "absent"
    assert overall == "absent"


def test_findings_repeat_exactly_and_need_no_trained_controls():
    config = Config(unequal_runs=0, convex_runs=0)
    rows = table()
    rows = rows[rows.arm.isin(("short", "long"))]
    first, second = (list(RunVariance().findings(rows, config)) for _ in range(2))
    assert [finding.to_json() for finding in first] == [finding.to_json() for finding in second]
    assert {finding.id for finding in first if finding.role == "control"} == {
        "short_permuted/variance_ratio",
        "short_permuted/variance_ratio_over_long",
        "short_permuted/half_correlation",
    }


def test_the_plan_of_the_small_size():
    config = RunVariance.configure("small", overrides={"seed": 0})
    trials = list(RunVariance().trials(config))
    assert len({trial.id for trial in trials}) == len(trials)
    splits = range(config.seeds)
    counts = collections.Counter((t.tags["arm"], t.tags["split"]) for t in trials)
    wanted = {
        "short": config.runs,
        "long": config.runs,
        "unequal": config.unequal_runs,
        "convex": config.convex_runs,
    }
    assert counts == {(arm, split): n for arm, n in wanted.items() for split in splits}
    for trial in trials:
        split = trial.tags["split"]
        assert trial.seed_of("split") == trial.seed_of("subset") == split
        assert trial.seed_of("init") == trial.seed_of("order") == trial.seed
    for arm in wanted:
        seeds = [trial.seed for trial in trials if trial.tags["arm"] == arm]
        assert len(set(seeds)) == len(seeds)
    # Short, long with unequal, and convex each have a graph of their own.
    assert len({plan.graph_key(trial) for trial in trials}) == 3


def test_unequal_runs_see_from_the_smallest_share_to_all():
    trials = list(RunVariance().trials(Config(seed=0, seeds=1, runs=2, unequal_runs=5)))
    shares = [
        spec.settings["fraction"]
        for trial in trials
        for spec in trial.data.corruptions
        if spec.name == "subset"
    ]
    assert shares == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


def test_lengths_between_the_shortest_and_the_longest_are_trained_too():
    config = Config(
        seed=0, seeds=1, runs=2, epochs=(64.0, 4.0, 16.0), unequal_runs=0, convex_runs=0
    )
    tags = [(t.tags["arm"], t.epochs) for t in RunVariance().trials(config)]
    assert tags[::2] == tags[1::2] == [("short", 4.0), ("middle", 16.0), ("long", 64.0)]


@pytest.mark.parametrize(
    "overrides, text",
    [
        ({"run": 3}, "Did you mean 'runs'"),
        ({"runs": 1}, "two runs or more"),
        ({"convex_runs": 1}, "two runs or more"),
        ({"epochs": [40.0]}, "two `epochs` or more"),
        ({"seeds": 0}, "at least 1"),
    ],
    ids=str,
)
def test_invalid_settings(overrides, text):
    with pytest.raises(UsageError, match=text):
        RunVariance.configure("small", overrides=overrides)


def test_published_numbers():
    numbers = published.load("run_variance")
    assert len(numbers) == 46
    assert all(number.source and number.provenance == "read" for number in numbers)
    by_place = {
        (number.experiment, number.metric, number.setting.get("epochs")): number
        for number in numbers
    }
    metric = "sd of test accuracy, %"
    assert by_place["cifar10_resnet9", metric, 64].value == 0.15
    assert by_place["cifar10_regularized_linear", metric, None].upper == 0.01


def test_reproductions_take_the_length_that_the_number_has():
    rows, numbers = table(), published.load("run_variance")
    phenomenon, config = RunVariance(), Config()

    def ours(metric, **setting):
        number = next(
            n
            for n in numbers
            if (n.metric, dict(n.setting)) == (metric, setting)
            and n.experiment.startswith("cifar10_resnet9")
        )
        return phenomenon.reproductions(rows, config, number)

    accuracy, baseline = ours("mean test accuracy, %")
    assert accuracy.value == pytest.approx(100 * (1 - rows[rows.arm == "long"].test_error.mean()))
    assert accuracy.n == SPLITS * RUNS and baseline is None
    spread, _ = ours("sd of test accuracy, %", epochs=1)
    deviations = rows[rows.arm == "short"].groupby("split").test_error.std()
    assert spread.value == pytest.approx(100 * deviations.mean()) and spread.n == SPLITS
    assert ours("sd of test accuracy, %", epochs=16) is None
    assert ours("variance on the test set over distribution-wise variance", epochs=64) is None


def test_figure():
    from matplotlib.figure import Figure

    figure = Figure()
    RunVariance().figure(table(), Config(), figure)
    long, short, tasks = figure.axes
    assert long.get_title() == "Epochs: 40" and short.get_title() == "Epochs: 1"
    # Four classes can be parted in seven ways.
    assert len(tasks.collections[0].get_offsets()) == 7


def test_the_network_of_the_paper(tensorflow):
    from tfphen.phenomena.run_variance.model import resnet9

    model = resnet9((32, 32, 3), 10)
    count = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    kernels = 27 * 64 + 25 * 64 * 128 + 9 * (2 * 128**2 + 2 * 256**2 + 2 * 128 * 256)
    channels = 64 + 128 * 3 + 256 * 3 + 128
    assert count == kernels + 2 * channels + 1280
    assert model.output_shape == (None, 10)
