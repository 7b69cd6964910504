"""Causal mechanism transfer: the plan, the verdicts, published numbers and figures."""

import dataclasses
import math

import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.experiment import plan
from tfphen.phenomena.causal_mechanism_transfer.findings import COMPARED, errors
from tfphen.phenomena.causal_mechanism_transfer.phenomenon import CausalMechanismTransfer
from tfphen.phenomena.causal_mechanism_transfer.trials import CASES, COUNTRIES, Config
from tfphen.verdicts import findings, published

SYNTHETIC = Config(seeds=20, seed=0, learned=4, depths=(2, 3), epochs=10)
PANEL = Config(data="gasoline", points=6, seeds=3, seed=0, learned=3)
# Errors over that of the target's points alone, in the synthetic records.
EFFECTS = {
    ("nonlinear", "true_mechanism"): 0.25,
    ("linear", "true_mechanism"): 0.25,
    ("linear", "fast_ica"): 0.45,
    ("nonlinear", "source_only"): 3.0,
    ("same_laws", "source_only"): 0.01,
}
PANEL_EFFECTS = {"learned": 0.6, "source_only": 4.0, "source_and_target": 2.0}


def a_table(config, effects=EFFECTS, panel=PANEL_EFFECTS):
    """Records of a plan with made-up numbers, as a table."""
    import pandas as pd

    generator, rows, targets = np.random.default_rng(0), [], {}
    for trial in CausalMechanismTransfer().trials(config):
        case, arm, seed = (trial.tags[name] for name in ("case", "arm", "seed"))
        base = targets.setdefault((case, seed), math.exp(generator.normal()))
        factor = panel.get(arm, 1.0) if case in COUNTRIES else effects.get((case, arm), 1.1)
        scatter = 0.0 if arm == "target_only" else 0.3 * generator.normal()
        error = base * (1.0 if arm == "target_only" else factor) * math.exp(scatter)
        row = {**trial.tags, "error": error, "score": 0.5 * base, "kept": 0.5}
        if arm == "learned":
            # The best score is the second checkpoint of the deeper flow, or the untrained one.
            deep = trial.model.settings["depth"] == max(config.depths)
            row["curve_learned_score"] = np.asarray([0.1, 3.0, 1.0 if deep else 2.0, np.nan])
            row["curve_learned_error"] = error * np.asarray([9.0, 9.0, 1.0 if deep else 9.0, 9.0])
        if "points" in trial.measures:
            row["points"] = generator.normal(size=(110 if "true" in arm else 10, 2))
            row["sources"] = generator.normal(size=(50, 2))
            row["predicted"] = generator.normal(size=(100, 3))
        rows.append(row)
    return pd.DataFrame(rows).sample(frac=1.0, random_state=3)


def verdicts(config=SYNTHETIC, **changes):
    results = list(CausalMechanismTransfer().findings(a_table(config, **changes), config))
    return {finding.id: finding.verdict for finding in results}, findings.overall(results)


# ---- verdicts ------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [SYNTHETIC, PANEL])
def test_present_with_absent_controls(config):
    by_id, verdict = verdicts(config)
    assert verdict == "present", by_id
    assert {*by_id.values()} == {"present", "absent"}


@pytest.mark.parametrize(
    ("key", "effect", "finding"),
    [
        (("nonlinear", "true_mechanism"), 0.9, "true_mechanism_nonlinear/log_error_ratio"),
        (("linear", "true_mechanism"), 0.9, "true_mechanism_linear/log_error_ratio"),
        (("linear", "fast_ica"), 0.9, "fast_ica_linear/log_error_ratio"),
        (("nonlinear", "source_only"), 0.5, "source_only_nonlinear/log_error_ratio"),
    ],
)
def test_each_signature_can_be_absent(key, effect, finding):
    by_id, verdict = verdicts(effects=EFFECTS | {key: effect})
    assert by_id[finding] == "absent"
    assert verdict == "absent"


@pytest.mark.parametrize(
    ("key", "effect", "control"),
    [
        (("nonlinear", "linear_mechanism"), 0.3, "linear_mechanism_nonlinear/log_error_ratio"),
        (("nonlinear", "fast_ica"), 0.3, "fast_ica_nonlinear/log_error_ratio"),
        (("nonlinear", "turned_fast_ica"), 0.3, "turned_fast_ica_nonlinear/log_error_ratio"),
        (("same_laws", "source_only"), 2.0, "source_only_same_laws/log_error_ratio"),
    ],
)
def test_a_present_control_makes_the_verdict_inconclusive(key, effect, control):
    by_id, verdict = verdicts(effects=EFFECTS | {key: effect})
    assert by_id[control] == "present"
    assert verdict == "inconclusive"


def test_findings_on_the_panel_can_be_absent_and_inconclusive():
    assert verdicts(PANEL, panel=PANEL_EFFECTS | {"learned": 2.0})[1] == "absent"
    assert verdicts(PANEL, panel=PANEL_EFFECTS | {"source_only": 0.5})[1] == "inconclusive"


def test_the_leave_one_out_error_selects_a_flow_and_moment_but_no_untrained_one():
    table = a_table(dataclasses.replace(PANEL, depths=(2, 3)))
    chosen = errors(table, "AUT", "learned")
    rows = table[(table["case"] == "AUT") & (table.arm == "learned")].sort_values("seed")
    deep = rows.groupby("seed").curve_learned_error.apply(lambda two: min(c.min() for c in two))
    np.testing.assert_array_equal(chosen, deep.to_numpy())
    assert len(chosen) == 3


# ---- the plan ------------------------------------------------------------------------------------


def test_one_population_for_each_arm_and_shape():
    trials = list(CausalMechanismTransfer().trials(SYNTHETIC))
    learned = [trial for trial in trials if trial.tags["arm"] == "learned"]
    assert len(learned) == 4 * 2
    assert len(trials) - len(learned) == 20 * sum(map(len, CASES.values()))
    # 2010 examples are 63 batches; the curve starts before training and leaves out the end.
    assert learned[0].steps == 63 * 10
    assert learned[0].curve == (0, 126, 252, 378, 504)
    sizes = sorted(len(group.trials) for group in plan.groups(learned))
    assert sizes == [4, 4]


def test_every_country_is_the_target_of_every_seed():
    config = dataclasses.replace(PANEL, weight_decays=(1e-3, 1e-2))
    trials = list(CausalMechanismTransfer().trials(config))
    learned = [trial for trial in trials if trial.tags["arm"] == "learned"]
    numbers = {trial.data.options["generator_seed"] for trial in trials}
    assert numbers == set(range(3 * 18))
    assert len(learned) == 3 * 18 * 2
    assert len(plan.groups(learned)) == 1
    by_country = {t.tags["case"]: t.data.options["generator_seed"] % 18 for t in trials}
    assert by_country == {country: place for place, country in enumerate(COUNTRIES)}


@pytest.mark.parametrize(
    "settings",
    [
        {"data": "digits"},
        {"points": 1},
        {"learned": 3},
        {"checkpoints": 9, "epochs": 8},
        {"per_domain": 0},
    ],
)
def test_invalid_settings_are_rejected(settings):
    with pytest.raises(UsageError, match=f"`{next(iter(settings))}`.*Received"):
        Config(**settings)


# ---- published numbers and figure ----------------------------------------------------------------


def test_published_numbers_have_an_estimate():
    numbers = published.load("causal_mechanism_transfer")
    of_countries = [number for number in numbers if "country" in number.setting]
    counts = [number for number in numbers if "country" not in number.setting]
    assert (len(of_countries), len(counts)) == (18 * 4, 2)
    assert {number.setting["country"] for number in of_countries} == set(COUNTRIES)
    table = a_table(PANEL)
    for number in of_countries:
        arm = number.setting["arm"]
        estimate, baseline = CausalMechanismTransfer().reproductions(table, PANEL, number)
        expected = 2.0 * PANEL_EFFECTS.get(arm, 1.0)
        assert estimate.value == pytest.approx(expected, rel=0.8)
        assert estimate.n == 3
        assert (baseline is None) == (arm == "target_only")
        assert baseline is None or baseline.value == pytest.approx(2.0)
    for number in counts:
        estimate, _ = CausalMechanismTransfer().reproductions(table, PANEL, number)
        assert 12 <= estimate.value <= 18
        assert 0 <= estimate.low < estimate.value <= estimate.high <= 18
    without = dataclasses.replace(PANEL, learned=0)
    learned = next(number for number in of_countries if number.setting["arm"] == "learned")
    assert CausalMechanismTransfer().reproductions(a_table(without), without, learned) is None


def test_published_counts_are_those_of_the_published_rows():
    values = {
        (number.setting["arm"], number.setting.get("country")): number.value
        for number in published.load("causal_mechanism_transfer")
        if "country" in number.setting
    }
    for beaten, count in ((COMPARED[1:], 10), (("target_only",), 12)):
        won = [
            values["learned", country] < min(values[arm, country] for arm in beaten)
            for country in COUNTRIES
        ]
        assert sum(won) == count


@pytest.mark.parametrize("config", [SYNTHETIC, PANEL, dataclasses.replace(PANEL, learned=0)])
def test_figure(config):
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    CausalMechanismTransfer().figure(a_table(config), config, figure)
    assert len(figure.axes) == (1 if config.data == "gasoline" else 2)
    labels = [text.get_text() for text in figure.axes[-1].get_yticklabels()]
    assert ("GBR" if config.data == "gasoline" else "learned flow") in labels
