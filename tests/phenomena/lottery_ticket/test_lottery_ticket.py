"""Lottery tickets: grid, verdicts, published numbers, and the figure."""

import dataclasses

import numpy as np
import pytest

from tfphen.core.errors import UsageError
from tfphen.experiment import plan
from tfphen.phenomena.lottery_ticket.phenomenon import LotteryTicket
from tfphen.phenomena.lottery_ticket.trials import CONTROLS, Config
from tfphen.verdicts import published

from .lottery_ticket_tables import EVERYTHING, PRESENT, SLOW, a_table, verdicts

SIGNATURES = {
    "ticket_round_2/accuracy_minus_dense",
    "ticket_round_3/accuracy_minus_dense",
    "ticket/early_loss_minus_reinit",
    "ticket/early_loss_minus_permuted",
    "kept_signs/early_loss_minus_permuted",
    "ticket/accuracy_minus_reinit",
    "ticket/accuracy_minus_permuted",
    "ticket/accuracy_minus_random_mask",
}


def test_present_with_absent_controls():
    by_id, verdict = verdicts(PRESENT)
    assert verdict == "present"
    assert {name for name, found in by_id.items() if found == "present"} == SIGNATURES


@pytest.mark.parametrize(
    ("change", "absent"),
    [
        ({"reinit": (0.945, 0.3, 500)}, {"ticket/early_loss_minus_reinit"}),
        ({"reinit": (0.968, 1.6, 500)}, {"ticket/accuracy_minus_reinit"}),
        ({"random_mask": (0.968, 2.0, 500)}, {"ticket/accuracy_minus_random_mask"}),
        (
            {"permuted": (0.968, 0.3, 500)},
            {
                "ticket/early_loss_minus_permuted",
                "kept_signs/early_loss_minus_permuted",
                "ticket/accuracy_minus_permuted",
            },
        ),
        ({"kept_signs": SLOW}, {"kept_signs/early_loss_minus_permuted"}),
    ],
    ids=lambda value: min(value),
)
def test_each_signature_can_be_absent(change, absent):
    by_id, _ = verdicts(PRESENT | change)
    assert {name for name in SIGNATURES if by_id[name] == "absent"} == absent


def test_a_ticket_that_is_too_small_does_not_match():
    by_id, verdict = verdicts(PRESENT | {"ticket": (0.955, 0.3, 200)})
    assert by_id["ticket_round_3/accuracy_minus_dense"] == "absent"
    assert verdict == "absent"


@pytest.mark.parametrize(
    ("change", "control"),
    [
        ({"redrawn_signs": (0.945, 0.3, 500)}, "redrawn_signs/early_loss_minus_permuted"),
        ({"random_mask": (0.93, 1.5, 500)}, "random_mask/early_loss_minus_random_mask_reinit"),
        ({"random_mask": (0.965, 2.0, 500)}, "random_mask/accuracy_minus_dense"),
        ({"dense_reinit": (0.970, 0.6, 300)}, "dense/early_loss_minus_dense_reinit"),
        ({"dense_reinit": (0.960, 0.2, 300)}, "dense/accuracy_minus_dense_reinit"),
    ],
    ids=str,
)
def test_a_present_control_makes_all_inconclusive(change, control):
    by_id, verdict = verdicts(PRESENT | change)
    assert by_id[control] == "present"
    assert verdict == "inconclusive"


def test_each_round_prunes_the_previous_ticket():
    config = dataclasses.replace(EVERYTHING, seeds=2, draws=3)
    trials = list(LotteryTicket().trials(config))
    assert len({trial.id for trial in trials}) == len(trials)
    by_tags = {tuple(t.tags[k] for k in ("seed", "arm", "round", "draw")): t for t in trials}
    # Two dense networks, a ticket each round, and the controls, one of them with three draws.
    assert len(trials) == 2 * (2 + 6 + 2 * (len(CONTROLS) + 2))
    for (seed, arm, number, draw), trial in by_tags.items():
        assert (trial.seed_of("order"), trial.seed_of("split"), trial.steps) == (seed, seed, 600)
        assert trial.seed_of("start") == seed
        assert trial.seed_of("init") == seed + 1_000_000 * draw
        assert (draw > 0) == arm.endswith("reinit")
        if number:
            before = by_tags[seed, "ticket" if number > 1 else "dense", number - 1, 0]
            given = {name: (r.trial.id, r.array) for name, r in trial.inputs.items()}
            assert given == {name: (before.id, name) for name in ("weights", "masks")}
    assert {t.start.settings["mask"] for t in trials if "random" in t.tags["arm"]} == {"random"}


def test_populations_and_their_measures():
    groups = plan.groups(LotteryTicket().trials(EVERYTHING))
    # One a round: controls train together with the tickets.
    assert len(groups) == 1 + 6
    assert {trial.tags["arm"] for trial in groups[0].trials} == {"dense", "dense_reinit"}
    for group in groups[5:]:
        assert {trial.tags["arm"] for trial in group.trials} == {"ticket", *CONTROLS}
    for trial in LotteryTicket().trials(EVERYTHING):
        taken = [measure.name for measure in LotteryTicket().measures_of(trial)[0]]
        assert {"test_error", "density"} <= set(taken)
        assert ("weights" in taken) == ("masks" in taken) == (trial.tags["round"] < 6)
        curves = [measure.name for measure in LotteryTicket().measures_of(trial)[1]]
        assert curves == ["validation_loss", "test_error"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rounds": 4}, "are from 1 to 4. Received: .*5, 6"),
        ({"matching_rounds": ()}, "`matching_rounds`, of which there is one"),
        ({"controls": ("reinit", "magnitude")}, "`controls` is of reinit, .*magnitude"),
        ({"early_step": 110}, "multiple of `check_every`.* early_step=110, check_every=20"),
        ({"scope": "everywhere"}, "`scope` must be one of 'layer', 'global'"),
        ({"scope": "global", "output_rate": 0.1}, "they have one rate"),
        ({"rate": 1.0}, r"`rate` must be a finite number in \[0, 1\)"),
        ({"rewind_steps": -1}, "`rewind_steps` must be an integer of at least 0"),
    ],
    ids=str,
)
def test_settings_that_do_not_fit(settings, message):
    with pytest.raises(UsageError, match=message):
        Config(**settings)


def test_paper_experiments_reach_the_published_shares():
    # Percent of the weights left after so many rounds, as printed.
    sizes = {
        "lenet_mnist": (0, 265_200, {7: 21.1, 9: 13.5, 15: 3.6, 16: 2.9}),
        "conv2_cifar10": (38_592, 4_259_840, {11: 8.8, 14: 4.6}),
        "conv4_cifar10": (259_776, 2_162_688, {12: 9.2, 11: 11.1}),
    }
    for experiment, (convolutions, hidden, shares) in sizes.items():
        config = LotteryTicket.configure("paper", experiment)
        outputs = 1000 if experiment == "lenet_mnist" else 2560
        slow = config.convolution_rate or config.rate
        assert {*config.control_rounds, *config.matching_rounds} <= {*shares, *range(1, 8)}
        assert config.rounds in shares
        for number, share in shares.items():
            left = convolutions * (1 - slow) ** number + hidden * (1 - config.rate) ** number
            left += outputs * (1 - config.rate / 2) ** number
            assert round(100 * left / (convolutions + hidden + outputs), 1) == share


def test_published_numbers_have_estimates():
    numbers = published.load("lottery_ticket")
    config = LotteryTicket.configure("paper", "lenet_mnist", {"seeds": 3, "seed": 0})
    config = dataclasses.replace(config, steps=600)
    table = a_table(config, PRESENT)
    expected = {
        ("pp above", "dense"): -0.2,
        ("pp above", "reinit"): 2.3,
        ("% earlier", "dense"): 100 / 3,
        ("times earlier", "reinit"): 2.5,
    }
    mine = [number for number in numbers if number.experiment == "lenet_mnist"]
    assert {number.metric for number in mine} == {
        "test accuracy at early stopping, pp above",
        "final test accuracy, pp above",
        "early-stopping iteration, % earlier",
        "early-stopping iteration, times earlier",
    }
    assert {number.statistic for number in mine} == set(LotteryTicket.statistics)
    beyond = [number for number in mine if number.setting["round"] > config.rounds]
    assert [number.setting["round"] for number in beyond] == [16]
    assert LotteryTicket().reproductions(table, config, beyond[0]) is None
    for number in (number for number in mine if number not in beyond):
        estimate, baseline = LotteryTicket().reproductions(table, config, number)
        assert (estimate.n, baseline.n) == (3, 3)
        assert baseline.low == baseline.high == (1 if "times" in number.metric else 0)
        if number.baseline is not None:
            assert baseline.value == number.baseline
        arms = number.metric.split(", ")[1], number.setting["against"]
        if number.setting["arm"] == "ticket":
            assert estimate.value == pytest.approx(expected[arms], abs=0.2)
        else:
            assert estimate.value == pytest.approx(-2.5, abs=0.2)
    few = table[table["round"] < 15]
    last = next(number for number in mine if number.setting["round"] == 15)
    assert LotteryTicket().reproductions(few, config, last) is None


@pytest.mark.parametrize("controls", [CONTROLS, ("reinit",)], ids=len)
def test_figure(controls):
    from matplotlib.figure import Figure

    config = dataclasses.replace(EVERYTHING, seeds=2, controls=controls)
    figure = Figure(layout="constrained")
    LotteryTicket().figure(a_table(config, PRESENT), config, figure)
    accuracy, stopping, losses = figure.axes
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[:3] == ["dense", "ticket", "reinit"]
    assert (
        len(labels)
        == len(losses.lines)
        == len(accuracy.lines)
        == len(controls) + 2 - ("random_mask_reinit" in controls)
    )
    ticket = accuracy.lines[1]
    np.testing.assert_allclose(ticket.get_xdata(), 100 * 0.6 ** np.arange(7))
    np.testing.assert_allclose(ticket.get_ydata(), [0.970] + 6 * [0.968], atol=0.002)
    assert set(stopping.lines[1].get_ydata()) == {300, 200}
