"""LDAM-DRW: the verdicts, published numbers, and the figure."""

from typing import ClassVar

import numpy as np
import pytest

from tfphen.phenomena.ldam_drw import findings
from tfphen.phenomena.ldam_drw.phenomenon import LdamDrw
from tfphen.verdicts import published

from .. import harness
from .ldam_drw_tables import EVERYTHING, SHOWN, TOTALS, a_table


class TestFindings(harness.Findings):
    kind, config = LdamDrw, EVERYTHING
    FLIPS: ClassVar = {
        "ldam_drw/gain_over_ce": {"ldam_drw": (0.40, 0.89, 0.03)},
        "ldam_drw/gain_over_ce_cosine": {"ce_cosine": (0.47, 0.90, -0.01)},
        "ldam/gain_over_ce": {"ldam": (0.39, 0.90, 0.03)},
        "ldam_drw/recall_gain_of_rare_classes": {"ldam_drw": (0.39, 0.97, 0.03)},
        "ldam/margin_correlation_gain": {"ldam": (0.45, 0.89, -0.03)},
    }
    # The control on frequent classes answers too.
    OVERALL: ClassVar = {"ldam_drw/recall_gain_of_rare_classes": "inconclusive"}
    ANSWERS: ClassVar = {
        "ldam_drw_reversed/gain_over_ce": {"ldam_drw_reversed": (0.46, 0.89, -0.03)},
        "ldam_drw_reversed/margin_correlation_gain": {"ldam_drw_reversed": (0.34, 0.90, 0.03)},
        "ce_other/gain_over_ce": {"ce_other": (0.45, 0.90, 0.0)},
        "ldam_drw_balanced/gain_over_ce_balanced": {"ldam_drw_balanced": (0.85, 0.85, 0.0)},
        "ldam_drw/recall_gain_of_frequent_classes": {"ldam_drw": (0.46, 0.95, 0.03)},
    }

    def table(self, change):
        return a_table(self.config, SHOWN | change)

    def test_five_findings_are_absent(self):
        by_id, _ = self.verdicts({})
        assert list(by_id.values()).count("absent") == 5


def test_a_diverged_training_has_no_margin_order():
    config = EVERYTHING
    table = a_table(config, SHOWN)
    table["train_class_margin"] = [
        np.full(10, np.nan) if (arm, seed) == ("ldam", 0) else margins
        for arm, seed, margins in zip(table.arm, table.seed, table.train_class_margin, strict=True)
    ]
    by_id = {finding.id: finding for finding in LdamDrw().findings(table, config)}
    assert np.isnan(by_id["ldam/margin_correlation_gain"].estimate.value)
    assert by_id["ldam/margin_correlation_gain"].verdict == "inconclusive"


def test_classes_are_sorted_by_their_counts():
    import pandas as pd

    counts = [[3, 9, 5], [9, 9, 2]]
    values = [[30.0, 90.0, 50.0], [1.0, 2.0, 3.0]]
    columns = {"arm": "ce", "seed": [0, 1], "class_counts": counts, "margin": values}
    table = pd.DataFrame(columns)
    np.testing.assert_array_equal(
        findings.by_rank(table, "ce", "margin"), [[90, 50, 30], [1, 2, 3]]
    )


# ---- published numbers and the figure ------------------------------------------------------------


def test_published_numbers_have_an_estimate():
    config = LdamDrw.configure("paper", "cifar10_lt100", {"seeds": 3, "seed": 0})
    table = a_table(config, SHOWN)
    numbers = {
        (number.setting["arm"], number.metric): number
        for number in published.load("ldam_drw")
        if number.experiment == "cifar10_lt100"
    }
    phenomenon = LdamDrw()
    ours, baseline = phenomenon.reproductions(table, config, numbers["ldam_drw", "test error, %"])
    assert ours.value == pytest.approx(32.5, abs=1) and ours.n == 3
    assert baseline.value == pytest.approx(35, abs=1)
    ours, _ = phenomenon.reproductions(table, config, numbers["ldam_drw", "test accuracy, %"])
    assert ours.value == pytest.approx(67.5, abs=1)
    assert phenomenon.reproductions(table, config, numbers["focal", "test error, %"]) is None


def test_errors_by_class_of_reviews():
    import pandas as pd

    config = LdamDrw.configure("paper", "imdb", {"seeds": 2, "seed": 0})
    rows = []
    for trial in LdamDrw().trials(config):
        (kept,) = trial.data.corruptions
        assert kept.name == "class_fractions" and tuple(kept.settings["fractions"]) == (0.1, 1.0)
        assert trial.seed_of("class_fractions") == 0
        recalls = np.array([0.3, 0.97])
        rows.append(
            {
                **trial.tags,
                "class_counts": np.array([1250, 12500]),
                "test_class_recall": recalls,
                "test_balanced_error": 1 - recalls.mean(),
            }
        )
    table = pd.DataFrame(rows)
    errors = {}
    for number in published.load("ldam_drw"):
        if number.experiment == "imdb" and number.setting["arm"] == "ce":
            ours, _ = LdamDrw().reproductions(table, config, number)
            errors[number.setting.get("reviews")] = ours.value
    assert errors == pytest.approx({"positive": 3.0, "negative": 70.0, None: 36.5})
    # Two classes have no rank correlation; all other findings remain.
    ids = {finding.id for finding in LdamDrw().findings(table, config)}
    assert ids == {
        "ldam_drw/gain_over_ce",
        "ldam_drw/gain_over_ce_cosine",
        "ldam/gain_over_ce",
        "ldam_drw/recall_gain_of_rare_classes",
        "ldam_drw/recall_gain_of_frequent_classes",
        "ldam_drw_reversed/gain_over_ce",
    }


def test_published_numbers_are_complete():
    numbers = published.load("ldam_drw")
    of_paper = [n for n in numbers if n.experiment in TOTALS and "1906.07413v2" in n.source]
    table_2 = [n for n in of_paper if n.source.endswith("Table 2")]
    assert len(table_2) == 8 * 8 + 2 * 4
    assert {n.provenance for n in numbers} == {"read"}
    error = {(n.experiment, n.setting["arm"]): n.value for n in of_paper}
    assert error["cifar10_step100", "ldam_drw"] == 23.08
    assert error["cifar100_step100", "cb_rw"] == 78.69
    assert error["cifar10_lt100", "ce_drw"] == 25.14
    rerun = {n.experiment: n for n in numbers if n.id.startswith("ddc_ldam_drw")}
    assert (rerun["cifar10_step100"].value, rerun["cifar10_step100"].spread) == (78.27, 0.44)
    assert rerun["cifar10_step100"].baseline == 64.81


def test_figure():
    from matplotlib.figure import Figure

    for config in (EVERYTHING, LdamDrw.configure("paper", "cifar10_lt100", {"seeds": 2})):
        figure = Figure(layout="constrained")
        LdamDrw().figure(a_table(config, SHOWN), config, figure)
        assert len(figure.axes) == 3
        labels = [text.get_text() for text in figure.axes[2].get_yticklabels()]
        assert len(labels) == len(config.arms) and "LDAM-DRW" in labels
        crosses = [line for line in figure.axes[2].lines if line.get_marker() == "x"]
        assert len(crosses) == (len(config.arms) if config.curve else 0)
