"""Double descent: the grid, and verdicts on synthetic records."""

import numpy as np
import pandas as pd
import pytest

from tfphen.core.errors import UsageError
from tfphen.experiment import plan
from tfphen.phenomena.double_descent.phenomenon import DoubleDescent
from tfphen.phenomena.double_descent.trials import Config
from tfphen.verdicts import findings
from tfphen.verdicts.published import load_file

WIDTHS = (2, 4, 8, 16, 32, 64)
CONFIG = Config(
    seeds=6, widths=WIDTHS, features=(1, 2, 3), samples=(1, 2, 3), descent_steps=(1, 2, 3, 4)
)
PEAK = np.array([1.2, 1.0, 1.9, 2.4, 1.3, 0.9])
FALL = np.array([1.2, 1.0, 0.8, 0.6, 0.5, 0.4])
FIT = np.array([0.5, 0.3, 0.05, 0.0, 0.0, 0.0])


def table(noisy=PEAK, clean=FALL, no_ridge=(0.2, 0.8, 0.1), ridge=(0.2, 0.1, 0.1)):
    rows = []
    for seed in range(CONFIG.seeds):
        jitter = np.random.default_rng(seed).normal(scale=0.01, size=10)
        common = {"seed": seed, "ridge": 0.0}
        for noise, losses in ((0.2, noisy), (0.0, clean)):
            for i, width in enumerate(WIDTHS):
                rows.append(
                    common
                    | {"arm": "width", "size": width, "label_noise": noise}
                    | {"test_loss": losses[i] + jitter[i], "test_error": losses[i] / 4 + jitter[i]}
                    | {"train_error": FIT[i]}
                )
        for arm in ("features", "samples"):
            for strength, errors in ((0.0, no_ridge), (0.1, ridge)):
                for size, error in zip((1, 2, 3), errors, strict=True):
                    rows.append(
                        common
                        | {"arm": arm, "size": size, "ridge": strength, "label_noise": 0.2}
                        | {"test_error": error + jitter[size]}
                    )
        for scale, curve in ((0.05, (0.4, 0.3, 0.45, 0.2)), (1.0, (0.3, 0.2, 0.25, 0.3))):
            rows.append(
                common
                | {"arm": "descent", "size": 0, "scale": scale, "label_noise": 0.0}
                | {"curve_test_error": np.asarray(curve) + jitter[:4]}
            )
    return pd.DataFrame(rows)


def verdicts(**changes):
    results = list(DoubleDescent().findings(table(**changes), CONFIG))
    return {result.id: result.verdict for result in results}, findings.overall(results)


def test_a_peak_is_present_and_its_controls_absent():
    by_id, overall = verdicts()
    assert overall == "present"
    assert by_id["width/test_loss_rise"] == "present"
    assert by_id["width_no_label_noise/test_loss_rise"] == "absent"
    assert by_id["width/peak_location"] == "present"


@pytest.mark.parametrize("shape", [FALL, FALL[::-1]])
def test_a_fall_or_a_rise_alone_is_absent(shape):
    by_id, overall = verdicts(noisy=shape)
    assert overall == "absent"
    assert "absent" in (by_id["width/test_loss_rise"], by_id["width/test_loss_drop"])


def test_a_peak_far_from_interpolation_is_absent():
    shifted = np.array([1.2, 1.0, 0.9, 0.8, 2.4, 0.9])
    assert verdicts(noisy=shifted)[0]["width/peak_location"] == "absent"


def test_a_control_that_fires_forbids_present():
    by_id, overall = verdicts(clean=PEAK)
    assert by_id["width_no_label_noise/test_loss_rise"] == "present"
    assert overall == "inconclusive"
    assert verdicts(ridge=(0.2, 0.8, 0.1))[1] == "inconclusive"


def test_the_plan_trains_noisy_and_clean_nets_of_a_width_together():
    config = DoubleDescent.configure("small")
    trials = list(DoubleDescent().trials(config))
    # 300 features on 300 examples stand in both sweeps and are solved once.
    assert len({t.id for t in trials}) == len(trials) - 2 * config.seeds
    groups = plan.groups(trials)
    nets = [g for g in groups if g.trials[0].tags["arm"] == "width"]
    assert len(nets) == len(config.widths)
    assert all(len(g.trials) == 2 * config.seeds for g in nets)


@pytest.mark.parametrize("settings", [{"seeds": 1}, {"widths": (4,)}, {"samples": (1, 2)}])
def test_too_little_for_a_peak_is_refused_before_anything_trains(settings):
    with pytest.raises(UsageError, match=r"at least.*Received"):
        Config(**{"seeds": 2, **settings})


def test_published_numbers_are_matched_by_width_and_noise():
    rows = [
        {"arm": "width", "size": w, "label_noise": 0.15, "test_error": e, "seed": s}
        for w, e in ((16, 0.47), (47, 0.54))
        for s in range(3)
    ]
    frame = pd.DataFrame(rows).assign(test_error=lambda d: d.test_error + 0.001 * d.seed)
    numbers = load_file(DoubleDescent.published_path())
    assert all(n.source for n in numbers)
    assert {n.provenance for n in numbers} == {"read", "recalled"}
    at_peak = next(
        n for n in numbers if n.setting.get("width") == 47 and n.setting.get("label_noise") == 0.15
    )
    ours, baseline = DoubleDescent().reproductions(frame, CONFIG, at_peak)
    assert ours.value == pytest.approx(54.1) and baseline.value == pytest.approx(47.1)
    assert at_peak.value == 54.05 and at_peak.baseline == 47.24
    absent = next(n for n in numbers if n.setting.get("width") == 300)
    assert DoubleDescent().reproductions(frame, CONFIG, absent) is None
