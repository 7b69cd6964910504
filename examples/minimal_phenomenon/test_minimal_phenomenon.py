"""What the phenomenon promises: it runs, and its findings can come out either way."""

import pandas
import pytest
from minimal_phenomenon.phenomenon import Config, MinimalPhenomenon

import tfphen
from tfphen.verdicts import published


def table(config, wide_error, random_wide_error=0.9):
    """Returns a table as if the trials had been run."""
    wide = {"true_labels": wide_error, "random_labels": random_wide_error}
    narrow = {"true_labels": 0.3, "random_labels": 0.9}
    return pandas.DataFrame(
        {
            **trial.tags,
            "test_error": (wide if trial.tags["units"] == config.wide else narrow)[
                trial.tags["arm"]
            ]
            + 0.001 * (trial.seed % 3),
        }
        for trial in MinimalPhenomenon().trials(config)
    )


@pytest.mark.parametrize(
    ("wide_error", "random_wide_error", "verdicts"),
    [
        (0.1, 0.9, {"true_labels/error_drop": "present", "random_labels/error_drop": "absent"}),
        (0.3, 0.9, {"true_labels/error_drop": "absent", "random_labels/error_drop": "absent"}),
        (0.1, 0.7, {"true_labels/error_drop": "present", "random_labels/error_drop": "present"}),
    ],
)
def test_findings_come_out_either_way(wide_error, random_wide_error, verdicts):
    config = Config(seeds=6)
    found = MinimalPhenomenon().findings(table(config, wide_error, random_wide_error), config)
    assert {finding.id: finding.verdict for finding in found} == verdicts


def test_published_numbers_load_and_find_their_statistic():
    config = MinimalPhenomenon.configure("paper", "mnist")
    rows = table(config, wide_error=0.045)
    for number in published.load_file(MinimalPhenomenon.published_path()):
        estimate, _ = MinimalPhenomenon().reproductions(rows, config, number)
        assert estimate.n == config.seeds


def test_smoke_run(tmp_path):
    run = tfphen.run("minimal_phenomenon", size="smoke", out=tmp_path)
    assert len(run.table) == 8
    assert {finding.role for finding in run.findings} == {"signature", "control"}
    run.figure()
