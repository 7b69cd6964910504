"""Lottery tickets: the plan, the verdicts, and what a round of pruning does to real networks."""

import dataclasses
import functools

import numpy as np
import pandas as pd
import pytest

from tfphen import findings, plan, published
from tfphen.errors import UsageError
from tfphen.phenomena.lottery_ticket import CONTROLS, METRICS, Config, LotteryTicket

EVERYTHING = Config(seeds=6, seed=0)

# Test accuracy where validation loss is lowest, early validation loss, and its step, by arm: what
# shows the phenomenon.
DENSE, SLOW = (0.970, 0.2, 300), (0.945, 1.6, 500)
SHOWN = {
    "dense": DENSE,
    "dense_reinit": DENSE,
    "ticket": (0.968, 0.3, 200),
    "reinit": SLOW,
    "permuted": SLOW,
    "kept_signs": (0.968, 0.3, 200),
    "redrawn_signs": SLOW,
    "random_mask": (0.930, 2.0, 500),
    "random_mask_reinit": (0.930, 2.0, 500),
}
SIGNATURES = {
    "ticket_matches_dense_after_2_rounds",
    "ticket_matches_dense_after_3_rounds",
    "ticket_learns_faster_than_reinit",
    "ticket_learns_faster_than_permuted",
    "kept_signs_learns_faster_than_permuted",
    "ticket_ends_above_reinit",
    "ticket_ends_above_permuted",
    "ticket_ends_above_random_mask",
}


def a_table(config, shown):
    """Records of a plan with made-up curves, as a table."""
    rows = []
    for trial in LotteryTicket().trials(config):
        tags, steps = trial.tags, np.asarray(trial.curve)
        accuracy, early, lowest = shown[tags["arm"]]
        noise = 0.001 * np.sin(7.0 * tags["seed"] + len(tags["arm"]) + tags["draw"])
        losses = 5.0 + abs(steps - lowest)
        losses[steps == config.early_step] = early + noise
        losses[steps == lowest] = 0.01
        errors = np.full(len(steps), 0.5)
        errors[steps == lowest] = 1 - accuracy + noise
        rows.append(
            {
                **tags,
                "curve_step": steps,
                "curve_validation_loss": losses,
                "curve_test_error": errors,
                "test_error": 1.01 - accuracy,
                "density": (1 - config.rate) ** tags["round"],
            }
        )
    # Findings must pair by seed, not by the order of rows.
    return pd.DataFrame(rows).sample(frac=1.0, random_state=3)


def verdicts(shown, config=EVERYTHING):
    found = list(LotteryTicket().findings(a_table(config, shown), config))
    return {finding.id: finding.verdict for finding in found}, findings.overall(found)


def test_shown_and_with_silent_controls():
    by_id, verdict = verdicts(SHOWN)
    assert verdict == "present"
    assert {name for name, found in by_id.items() if found == "present"} == SIGNATURES


@pytest.mark.parametrize(
    ("change", "absent"),
    [
        ({"reinit": (0.945, 0.3, 500)}, {"ticket_learns_faster_than_reinit"}),
        ({"reinit": (0.968, 1.6, 500)}, {"ticket_ends_above_reinit"}),
        ({"random_mask": (0.968, 2.0, 500)}, {"ticket_ends_above_random_mask"}),
        (
            {"permuted": (0.968, 0.3, 500)},
            {
                "ticket_learns_faster_than_permuted",
                "kept_signs_learns_faster_than_permuted",
                "ticket_ends_above_permuted",
            },
        ),
        ({"kept_signs": SLOW}, {"kept_signs_learns_faster_than_permuted"}),
    ],
    ids=lambda value: min(value),
)
def test_each_signature_can_be_absent(change, absent):
    by_id, _ = verdicts(SHOWN | change)
    assert {name for name in SIGNATURES if by_id[name] == "absent"} == absent


def test_a_ticket_that_is_too_small_does_not_match():
    by_id, verdict = verdicts(SHOWN | {"ticket": (0.955, 0.3, 200)})
    assert by_id["ticket_matches_dense_after_3_rounds"] == "absent"
    assert verdict == "absent"


@pytest.mark.parametrize(
    ("change", "control"),
    [
        ({"redrawn_signs": (0.945, 0.3, 500)}, "redrawn_signs_learns_faster_than_permuted"),
        ({"random_mask": (0.93, 1.5, 500)}, "random_mask_learns_faster_than_random_mask_reinit"),
        ({"random_mask": (0.965, 2.0, 500)}, "random_mask_matches_dense"),
        ({"dense_reinit": (0.970, 0.6, 300)}, "dense_learns_faster_than_dense_reinit"),
        ({"dense_reinit": (0.960, 0.2, 300)}, "dense_ends_above_dense_reinit"),
    ],
    ids=str,
)
def test_a_control_that_answers_makes_all_inconclusive(change, control):
    by_id, verdict = verdicts(SHOWN | change)
    assert by_id[control] == "present"
    assert verdict == "inconclusive"


def test_each_round_prunes_what_the_round_before_left():
    config = dataclasses.replace(EVERYTHING, seeds=2, draws=3)
    trials = list(LotteryTicket().trials(config))
    assert len({trial.id for trial in trials}) == len(trials)
    by_tags = {tuple(t.tags[k] for k in ("seed", "arm", "round", "draw")): t for t in trials}
    # Two dense networks, a ticket each round, and the controls, of which one is drawn three times.
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


def test_populations_and_what_they_keep():
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


def test_published_numbers_find_ours():
    numbers = published.load("lottery_ticket")
    config = LotteryTicket.configure("paper", "lenet_mnist", {"seeds": 3, "seed": 0})
    config = dataclasses.replace(config, steps=600)
    table = a_table(config, SHOWN)
    expected = {
        ("pp above", "dense"): -0.2,
        ("pp above", "reinit"): 2.3,
        ("% earlier", "dense"): 100 / 3,
        ("times earlier", "reinit"): 2.5,
    }
    mine = [number for number in numbers if number.experiment == "lenet_mnist"]
    assert {number.metric for number in mine} == set(METRICS)
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
    LotteryTicket().figure(a_table(config, SHOWN), config, figure)
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


# ---- through the engine ------------------------------------------------------------------------

TINY = Config(
    train=400,
    test=300,
    validation=100,
    model="mlp",
    model_settings={"hidden_units": (40, 20)},
    steps=100,
    early_step=20,
    rounds=3,
    matching_rounds=(1,),
    control_rounds=(),
    seed=0,
)
RATES = (0.0, 0.4, 0.993)


def trial_of(config, arm, number, seed=0):
    wanted = {"arm": arm, "round": number, "seed": seed}
    return next(t for t in LotteryTicket().trials(config) if wanted.items() <= t.tags.items())


def with_rate(rate):
    return dataclasses.replace(TINY, rate=rate)


@pytest.fixture(scope="module")
def known(tensorflow, tmp_path_factory):
    """Records of the dense network, of a first round at each rate, and of a second one."""
    from tfphen import runner

    trials = [trial_of(with_rate(rate), "ticket", 1, seed) for rate in RATES for seed in (0, 1)]
    trials += [trial_of(with_rate(0.4), "ticket", 2, seed) for seed in (0, 1)]
    assert len(plan.groups(trials)) == 3
    return runner.run(LotteryTicket(), trials, tmp_path_factory.mktemp("records"))


@functools.cache
def template():
    from tfphen import models

    return models.get(TINY.model)((64,), 10, **TINY.model_settings)


def begin(known, trial):
    """Where a trial begins, given the records of others: weights and masks by path, and theta_0."""
    from tfphen.train import starts
    from tfphen.train.initial_weights import initial_weights

    model = template()
    given = {name: known[r.trial.id].arrays[r.array] for name, r in trial.inputs.items()}
    weights, masks = starts.begin(model, [trial], [given], LotteryTicket.starts)
    paths = [variable.path for variable in model.weights]
    return (
        {path: value[0] for path, value in zip(paths, weights, strict=True)},
        {path: value[0].astype(bool) for path, value in masks.items()},
        dict(zip(paths, initial_weights(model, trial.seed), strict=True)),
    )


def test_a_ticket_begins_at_the_values_of_the_first_round_bit_for_bit(known):
    for number in (1, 2):
        weights, masks, first = begin(known, trial_of(with_rate(0.4), "ticket", number))
        assert list(masks) == [path for path in first if path.endswith("kernel")]
        for path, value in first.items():
            np.testing.assert_array_equal(weights[path], value)
            assert path.endswith("kernel") or not value.any()
    # 2560, 800 and 200 weights; hidden layers lose 40% twice, the output layer 20%.
    assert [int(mask.sum()) for mask in masks.values()] == [922, 288, 128]


def test_layers_pruned_together_lose_as_much_in_all(known):
    config = dataclasses.replace(with_rate(0.4), scope="global")
    _, layerwise, _ = begin(known, trial_of(with_rate(0.4), "ticket", 1))
    weights, masks, first = begin(known, trial_of(config, "ticket", 1))
    assert [int(mask.sum()) for mask in layerwise.values()] == [1536, 480, 160]
    counts = [int(mask.sum()) for mask in masks.values()]
    assert sum(counts) == round(0.6 * (2560 + 800 + 200))
    assert counts != [1536, 480, 160]
    trained = known[trial_of(TINY, "dense", 0).id].arrays["weights"]
    left = np.concatenate([masks.get(p, np.zeros(v.shape, bool)).ravel() for p, v in first.items()])
    gone = np.concatenate(
        [~masks[p].ravel() if p in masks else np.zeros(v.size, bool) for p, v in first.items()]
    )
    assert abs(trained[gone]).max() <= abs(trained[left]).min()
    assert all((weights[path] == first[path]).all() for path in first)


def test_a_random_mask_and_a_fresh_draw_change_one_thing_each(known):
    config = dataclasses.replace(with_rate(0.4), control_rounds=(2,))
    by_arm = {
        t.tags["arm"]: begin(known, t)
        for t in LotteryTicket().trials(config)
        if t.tags["round"] == 2 and t.seed == 0
    }
    assert list(by_arm) == ["ticket", *CONTROLS]
    _, masks, first = by_arm["ticket"]
    for arm, (other, left, _) in by_arm.items():
        same_mask = all((left[path] == masks[path]).all() for path in masks)
        assert same_mask == (not arm.startswith("random_mask"))
        assert [m.sum() for m in left.values()] == [m.sum() for m in masks.values()]
        same = all((other[path][left[path]] == first[path][left[path]]).all() for path in masks)
        assert same == (arm in ("ticket", "random_mask"))
    left = [by_arm[arm][1]["hidden_1/kernel"] for arm in ("random_mask", "random_mask_reinit")]
    np.testing.assert_array_equal(*left)


def test_pruned_weights_stay_zero_and_the_others_move(known):
    for number, share in ((1, 0.6112), (2, 0.3758)):
        record = known[trial_of(with_rate(0.4), "ticket", number).id]
        values, left = record.arrays["weights"], record.arrays["masks"]
        assert (values[~left] == 0).all()
        kernels = values[: 64 * 40]
        assert (kernels[left[: 64 * 40]] != 0).all()
        assert record.values["density"] == pytest.approx(share, abs=1e-4)
    dense = known[trial_of(TINY, "dense", 0).id]
    assert dense.arrays["masks"].all()
    assert dense.values["density"] == 1.0
    # The second mask is inside the first, and holds its largest weights.
    first = known[trial_of(with_rate(0.4), "ticket", 1).id].arrays
    assert not (left & ~first["masks"]).any()
    hidden = slice(0, 64 * 40)
    gone = abs(first["weights"][hidden])[first["masks"][hidden] & ~left[hidden]]
    assert gone.max() <= abs(first["weights"][hidden])[left[hidden]].min()


def test_a_ticket_with_all_weights_is_the_dense_network(known):
    for seed in (0, 1):
        dense = known[trial_of(TINY, "dense", 0, seed).id]
        ticket = known[trial_of(with_rate(0.0), "ticket", 1, seed).id]
        assert ticket.values["density"] == 1.0
        for name in ("weights", "curve_validation_loss", "curve_test_error"):
            np.testing.assert_array_equal(ticket.arrays[name], dense.arrays[name])


def test_accuracy_falls_when_nearly_everything_is_pruned(known):
    for seed in (0, 1):
        few = known[trial_of(with_rate(0.993), "ticket", 1, seed).id]
        dense = known[trial_of(TINY, "dense", 0, seed).id]
        assert dense.values["test_error"] < 0.3
        assert few.values["test_error"] > 0.6


def test_the_curve_holds_the_held_out_loss_at_each_look(known):
    record = known[trial_of(TINY, "dense", 0).id]
    assert record.arrays["curve_step"].tolist() == [20, 40, 60, 80, 100]
    assert record.arrays["curve_test_error"][-1] == record.values["test_error"]
    assert record.arrays["curve_validation_loss"][-1] < record.arrays["curve_validation_loss"][0]


def test_rewound_tickets_begin_where_the_dense_network_was(known, tmp_path):
    from tfphen import runner

    config = dataclasses.replace(with_rate(0.4), rewind_steps=20, control_rounds=(1,))
    ticket, reinit = (trial_of(config, arm, 1) for arm in ("ticket", "reinit"))
    short = ticket.inputs["rewound"].trial
    assert (short.steps, short.curve, short.seed) == (20, (), 0)
    ran = {**known, **runner.run(LotteryTicket(), [short], tmp_path)}
    weights, masks, first = begin(ran, ticket)
    flat = np.concatenate([value.ravel() for value in weights.values()])
    np.testing.assert_array_equal(flat, ran[short.id].arrays["weights"])
    assert abs(weights["hidden_1/kernel"] - first["hidden_1/kernel"]).max() > 0.01
    plain = begin(known, trial_of(with_rate(0.4), "ticket", 1))[1]
    assert all((masks[path] == plain[path]).all() for path in masks)
    fresh = begin(ran, reinit)[0]
    assert abs(fresh["hidden_1/kernel"] - weights["hidden_1/kernel"]).max() > 0.1
    assert not fresh["hidden_1/bias"].any()
