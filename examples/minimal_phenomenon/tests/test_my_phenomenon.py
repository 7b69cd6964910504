"""The findings answer on made-up tables, and the smallest size runs."""

import pandas as pd
import pytest
from my_phenomenon.phenomenon import MyPhenomenon

import tfphen


def a_table(config, wide, random_wide=0.9):
    """A table as records would give it, with these test errors of the wide network."""
    rows = []
    for trial in MyPhenomenon().trials(config):
        tags = dict(trial.tags)
        error = {"true": wide, "random": random_wide}[tags["arm"]]
        if tags["width"] == min(config.widths):
            error = {"true": 0.7, "random": 0.9}[tags["arm"]]
        rows.append({**tags, "test_error": error + 0.001 * (tags["seed"] % 3)})
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("wide", "random_wide", "expected"),
    [
        (0.05, 0.9, ("present", "absent")),
        (0.70, 0.9, ("absent", "absent")),
        (0.05, 0.5, ("present", "present")),
    ],
)
def test_findings(wide, random_wide, expected):
    config = MyPhenomenon.configure("small")
    table = a_table(config, wide, random_wide)
    found = list(MyPhenomenon().findings(table, config))
    assert tuple(one.verdict for one in found) == expected


def test_smoke(tmp_path):
    run = tfphen.run("my_phenomenon", size="smoke", out=tmp_path)
    assert len(run.table) == 8
    run.figure()
