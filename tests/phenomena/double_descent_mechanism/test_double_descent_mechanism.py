"""Noisy labels in feature space: grid, verdicts, baselines, and the published networks."""

import dataclasses
import math
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from tfphen.core.errors import UsageError
from tfphen.experiment import plan
from tfphen.phenomena.double_descent_mechanism.findings import PUBLISHED
from tfphen.phenomena.double_descent_mechanism.measures import SHUFFLES
from tfphen.phenomena.double_descent_mechanism.phenomenon import DoubleDescentMechanism
from tfphen.phenomena.double_descent_mechanism.trials import Config
from tfphen.verdicts import findings, published

from .. import harness

WIDTHS = (5, 10, 14, 24, 48, 128)
CONFIG = Config(seeds=8, seed=0, widths=WIDTHS, steps=10)
DEFAULTS = {
    "train_error": (0.26, 0.07, 0.01, 0.0, 0.0, 0.0),
    "test_error": (0.35, 0.36, 0.37, 0.31, 0.25, 0.21),
    "test_loss": (1.2, 2.2, 3.0, 2.5, 1.8, 1.3),
    "clean_loss": (1.1, 0.4, 0.34, 0.29, 0.27, 0.26),
    "clean_vote": (0.45, 0.63, 0.70, 0.85, 0.91, 0.93),
    "untrained": (0.36, 0.55, 0.69, 0.84, 0.905, 0.93),
    "shuffled": (0.1,) * 6,
}


def a_table(config=CONFIG, **changes):
    """A table of the grid with synthetic measurements."""
    values = DEFAULTS | changes
    generator = np.random.default_rng(4)
    rows = []
    for trial in DoubleDescentMechanism().trials(config):
        tags = trial.tags
        place, noisy = config.widths.index(tags["width"]), tags["label_noise"] > 0
        jitter = generator.normal(scale=0.004)
        chance = generator.normal(values["shuffled"][place], 0.03, SHUFFLES)
        row = {
            "train_error": values["train_error"][place] if noisy else 0.0,
            "test_error": values["test_error"][place] + jitter if noisy else 0.05,
            "test_loss": values["test_loss" if noisy else "clean_loss"][place] + jitter,
            "clean_vote": values["clean_vote"][place] + jitter if noisy else math.nan,
            "input_clean_vote": 0.95 if noisy else math.nan,
            "shuffled_clean_votes": chance if noisy else chance * math.nan,
            "curve_clean_vote": np.array([values["untrained"][place] - jitter, 0.9]),
            "input_cosine": 0.6 + jitter,
            "output_cosine": 0.3,
            "complexity": 10.0 + jitter,
        }
        rows.append({**tags, **row})
    # Findings must pair by seed and width, not by the order of rows.
    return pd.DataFrame(rows).sample(frac=1.0, random_state=3)


def verdicts(config=CONFIG, **changes):
    results = list(DoubleDescentMechanism().findings(a_table(config, **changes), config))
    return {finding.id: finding.verdict for finding in results}, findings.overall(results)


class TestFindings(harness.Findings):
    kind, config = DoubleDescentMechanism, CONFIG
    FLIPS: ClassVar = {
        "widest/train_error": {"train_error": (0.26, 0.07, 0.015, 0.015, 0.015, 0.015)},
        "label_noise/test_loss_rise": {"test_loss": DEFAULTS["clean_loss"]},
        "label_noise/test_loss_drop": {"test_loss": (1.2, 2.2, 2.9, 3.0, 3.1, 3.2)},
        "label_noise/clean_vote_rise": {"clean_vote": (0.45, 0.6, 0.9, 0.9, 0.9, 0.91)},
        "label_noise/clean_vote_accuracy_correlation": {
            "clean_vote": (0.45, 0.6, 0.9, 0.8, 0.7, 0.6)
        },
        "label_noise/clean_vote_of_widest": {"clean_vote": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)},
    }
    ANSWERS: ClassVar = {
        "narrowest/train_error": {"train_error": (0.0,) * 6},
        "no_label_noise/test_loss_rise": {"clean_loss": DEFAULTS["test_loss"]},
        "shuffled_features/clean_vote_rise": {"shuffled": DEFAULTS["clean_vote"]},
        "shuffled_features/clean_vote_accuracy_correlation": {"shuffled": DEFAULTS["clean_vote"]},
        "shuffled_features/clean_vote_of_widest": {"shuffled": (0.95,) * 6},
    }

    def table(self, change):
        return a_table(self.config, **change)


def test_widths_that_never_interpolate_are_inconclusive():
    short = {"train_error": (0.3, 0.3, 0.3, 0.3, 0.019, 0.0)}
    by_id, _ = verdicts(**short)
    assert by_id["label_noise/clean_vote_rise"] == "inconclusive"
    never = {"train_error": (0.3,) * 6}
    results = list(DoubleDescentMechanism().findings(a_table(**never), CONFIG))
    rise = next(f for f in results if f.id == "label_noise/clean_vote_rise")
    assert rise.verdict == "inconclusive"
    assert math.isnan(rise.estimate.value)
    assert rise.note == "No width interpolates."


def test_the_note_says_whether_the_untrained_network_has_it_too():
    def note(**changes):
        results = DoubleDescentMechanism().findings(a_table(**changes), CONFIG)
        return next(f for f in results if f.id == "label_noise/clean_vote_rise").note

    inherited = note(untrained=DEFAULTS["clean_vote"])
    assert inherited.startswith("Inherited from input geometry")
    assert "Untrained networks rise by 0.2" in inherited
    assert "inputs have 0.950" in inherited
    learned = note(untrained=(0.36, 0.55, 0.69, 0.70, 0.8, 0.93))
    assert learned.startswith("Partly learned (width 24, 48)")


def test_one_population_for_each_width_with_noisy_and_clean_nets():
    config = DoubleDescentMechanism.configure("small")
    groups = plan.groups(DoubleDescentMechanism().trials(config))
    assert [g.trials[0].tags["width"] for g in groups] == list(config.widths)
    for group in groups:
        assert len(group.trials) == 2 * config.seeds
        assert {t.tags["label_noise"] for t in group.trials} == {0.0, config.label_noise}


@pytest.mark.parametrize(
    "settings", [{"seeds": 1}, {"widths": (5, 10)}, {"widths": (10, 5, 20)}, {"label_noise": 0.0}]
)
def test_invalid_settings(settings):
    (name,) = settings
    with pytest.raises(UsageError, match=rf"`{name}` .*Received: {name}="):
        Config(**settings)


def test_published_numbers_find_ours():
    config = DoubleDescentMechanism.configure("paper", "mnist_fcnn", {"seed": 0})
    assert set(config.widths) < {5, 10, 20, 40, 100}
    config = dataclasses.replace(config, widths=(5, 10, 20, 40, 100), seeds=5)
    changes = {name: values[:5] for name, values in DEFAULTS.items()}
    table = a_table(config, **changes)
    numbers = published.load("double_descent_mechanism")
    assert {number.arguments["measure"] for number in numbers} == set(PUBLISHED)
    assert {number.setting["width"] for number in numbers} == set(config.widths)
    for number in numbers:
        ours, baseline = DoubleDescentMechanism().reproductions(table, config, number)
        assert ours.n == 5
        assert (baseline is None) == (number.baseline is None)
    (number,) = (
        number
        for number in numbers
        if number.metric == "test accuracy"
        and number.setting == {"width": 100, "label_noise": 0.2, "against_width": 20}
    )
    ours, baseline = DoubleDescentMechanism().reproductions(table, config, number)
    assert (number.value, number.baseline) == (0.790, 0.689)
    assert ours.value == pytest.approx(0.75, abs=0.01)
    assert baseline.value == pytest.approx(0.63, abs=0.01)
    assert DoubleDescentMechanism().reproductions(a_table(), CONFIG, number) is None


def test_figure():
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    DoubleDescentMechanism().figure(a_table(), CONFIG, figure)
    assert len(figure.axes) == 6
    labels = [line.get_label() for line in figure.axes[2].lines]
    assert {"trained", "untrained", "inputs", "shuffled rows"} <= set(labels)


# ---- the published network and the measures on trained networks ----------------------------------


def test_published_parameters(tensorflow):
    from tfphen.models import mlp

    for width in (5, 20, 1000):
        model = mlp((28, 28, 1), 10, hidden_units=(width,))
        assert model.count_params() == 795 * width + 10


def test_the_published_rate_falls_every_fifty_epochs(tensorflow):
    from tfphen.train.schedules import SCHEDULES

    config = DoubleDescentMechanism.configure("paper", "mnist_fcnn")
    steps = -(-config.train // config.batch_size)
    for epoch in (0, 49, 50, 1999, 3999):
        factor = SCHEDULES[config.schedule](
            float(epoch * steps), float(config.epochs * steps), **config.schedule_settings
        )
        assert float(factor) == pytest.approx(1 / math.sqrt(1 + epoch // 50), rel=1e-6)


@pytest.fixture(scope="module")
def trained_records(tensorflow, tmp_path_factory):
    """Records of two narrow nets a noise on a few digits, by noise and seed."""
    from tfphen.experiment import runner

    config = Config(train=200, widths=(2, 3, 24), seeds=2, seed=0, steps=300)
    trials = [t for t in DoubleDescentMechanism().trials(config) if t.tags["width"] == 24]
    records = runner.run(DoubleDescentMechanism(), trials, tmp_path_factory.mktemp("records"))
    return {(t.tags["label_noise"], t.seed): records[t.id] for t in trials}


def test_votes_of_trained_and_untrained_networks_and_of_inputs(trained_records):
    for seed in (0, 1):
        record = trained_records[0.2, seed]
        votes = {name: record.values[name] for name in ("clean_vote", "noisy_vote")}
        assert record.arrays["curve_step"].tolist() == [0, 300]
        for name, value in votes.items():
            assert record.arrays[f"curve_{name}"][1] == value
        assert 0.6 < votes["clean_vote"] <= 1.0
        assert sum(votes.values()) <= 1.0
        assert record.arrays["curve_clean_vote"][0] != votes["clean_vote"]
        # Nearest neighbors of the digits themselves are mostly of one class.
        assert record.values["input_clean_vote"] > 0.85
        shuffled = record.arrays["shuffled_clean_votes"]
        assert shuffled.shape == (SHUFFLES,)
        assert shuffled.mean() == pytest.approx(0.1, abs=0.08)
        assert len(set(shuffled.tolist())) > 1


def test_without_noise_there_is_nothing_to_vote_on(trained_records):
    for seed in (0, 1):
        record = trained_records[0.0, seed]
        assert record.values["train_error"] == 0.0
        assert math.isnan(record.values["clean_vote"])
        assert math.isnan(record.values["input_clean_vote"])
        assert np.isnan(record.arrays["shuffled_clean_votes"]).all()
        assert 0.3 < record.values["input_cosine"] < 0.9
        assert record.values["predicted_classes"] == 10
        assert record.values["complexity"] > 0
