"""Schedules against the formulas of papers, PyTorch's schedulers, and the same in populations."""

import json
import math

import keras
import numpy as np
import pytest

from tfphen.optimizers import (
    CosineDecay,
    InverseSquareRootDecay,
    LinearDecay,
    OneCycle,
    StepDecay,
)
from tfphen.train.schedules import SCHEDULES


def rates(schedule, steps):
    return [float(schedule(step)) for step in steps]


def test_ldam_schedule_epoch_by_epoch():
    """`lr * e / 5` for epochs 1 to 5, then × 0.01 after 160 and × 0.0001 after 180 epochs."""
    for steps in (97, 391):
        schedule = StepDecay(
            0.1, [160, 180], [0.01, 0.0001], warmup=5, steps_per_epoch=steps, per_epoch=True
        )
        expected, found = [], []
        for epoch in (*range(1, 8), 159, 160, 161, 162, 179, 180, 181, 200):
            if epoch <= 5:
                rate = 0.1 * epoch / 5
            elif epoch > 180:
                rate = 0.1 * 0.0001
            elif epoch > 160:
                rate = 0.1 * 0.01
            else:
                rate = 0.1
            first, last = (epoch - 1) * steps, epoch * steps - 1
            expected += [rate] * 3
            found += rates(schedule, (first, (first + last) // 2, last))
        np.testing.assert_allclose(found, expected, rtol=3e-7)


def test_ldam_schedule_in_a_population():
    fractions = [0, *(e / 200 for e in (1, 2, 3, 4, 160, 180))]
    factors = (0.2, 0.4, 0.6, 0.8, 1.0, 0.01, 0.0001)
    total = keras.ops.convert_to_tensor([200 * 97.0, 200 * 391.0])
    for number, steps in enumerate((97, 391)):
        schedule = StepDecay(
            1.0, [160, 180], [0.01, 0.0001], warmup=5, steps_per_epoch=steps, per_epoch=True
        )
        for step in (0, steps - 1, steps, 5 * steps, 160 * steps - 1, 160 * steps, 180 * steps):
            now = keras.ops.convert_to_tensor(float(step))
            factor = SCHEDULES["piecewise"](now, total, fractions=fractions, factors=factors)
            assert float(factor[number]) == pytest.approx(float(schedule(step)), rel=1e-6)


def test_steps_of_warmup():
    plain = LinearDecay(1.0, 100, warmup=10)
    np.testing.assert_allclose(rates(plain, range(10)), np.arange(1, 11) / 10, rtol=1e-6)
    zero = LinearDecay(1.0, 100, warmup=10, warmup_start=0.0)
    np.testing.assert_allclose(rates(zero, range(11)), np.arange(11) / 10, rtol=1e-6)
    start = LinearDecay(0.5, 10, warmup=2, warmup_start=1e-4, steps_per_epoch=100)
    assert float(start(0)) == pytest.approx(5e-5)
    assert float(start(100)) == pytest.approx((0.5 + 5e-5) / 2)
    for schedule in (plain, zero):
        np.testing.assert_allclose(rates(schedule, (10, 55, 100, 999)), [1, 0.5, 0, 0], atol=1e-6)


def test_epochs_are_steps():
    for make in (LinearDecay, CosineDecay):
        in_epochs = make(0.1, 2.5, warmup=0.5, steps_per_epoch=40)
        in_steps = make(0.1, 100, warmup=20)
        steps = range(0, 110, 3)
        np.testing.assert_allclose(rates(in_epochs, steps), rates(in_steps, steps), rtol=1e-6)
        per_epoch = make(0.1, 3, steps_per_epoch=40, per_epoch=True)
        assert len({float(per_epoch(step)) for step in range(120)}) == 3


def test_inverse_square_roots():
    nakkiran = InverseSquareRootDecay(0.1)
    expected = [0.1 / math.sqrt(1 + step // 512) for step in (0, 511, 512, 5119, 499_300)]
    np.testing.assert_allclose(rates(nakkiran, (0, 511, 512, 5119, 499_300)), expected, rtol=1e-6)
    width, warmup = 512, 4000
    transformer = InverseSquareRootDecay(
        (width * warmup) ** -0.5, period=warmup, staircase=False, warmup=warmup
    )
    for update in (1, 100, 4000, 4001, 50_000):  # counted from 1, as in the paper
        exact = width**-0.5 * min(update**-0.5, update * warmup**-1.5)
        assert float(transformer(update - 1)) == pytest.approx(exact, rel=2e-4)


def torch_rates(make, count, rate=1.0):
    torch = pytest.importorskip("torch", reason="PyTorch, the peer, is not installed")
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=rate, momentum=0.9)
    scheduler = make(torch.optim.lr_scheduler, optimizer)
    found = []
    for number in range(count):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if number < count - 1:
            scheduler.step()
    return found


@pytest.mark.parametrize("anneal", ["cosine", "linear"])
@pytest.mark.parametrize("settings", [{}, {"rise": 0.4, "initial_divisor": 5, "final_divisor": 9}])
def test_one_cycle_of_torch(anneal, settings):
    names = {"rise": "pct_start", "initial_divisor": "div_factor"}
    theirs = {names.get(key, "final_div_factor"): value for key, value in settings.items()}
    strategy = {"cosine": "cos", "linear": "linear"}[anneal]
    expected = torch_rates(
        lambda schedulers, optimizer: schedulers.OneCycleLR(
            optimizer, 0.3, total_steps=37, anneal_strategy=strategy, **theirs
        ),
        37,
    )
    found = rates(OneCycle(0.3, 37, anneal=anneal, **settings), range(37))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=3e-8)
    in_epochs = OneCycle(0.3, 18.5, anneal=anneal, steps_per_epoch=2, **settings)
    np.testing.assert_allclose(rates(in_epochs, range(37)), found, rtol=1e-6)
    assert float(OneCycle(0.3, 37)(1000)) == pytest.approx(0.3 / 25e4, rel=1e-2)


def test_cosine_and_steps_of_torch():
    found = torch_rates(lambda s, o: s.CosineAnnealingLR(o, T_max=20, eta_min=0.1), 21)
    ours = CosineDecay(1.0, 20, final_factor=0.1, steps_per_epoch=7, per_epoch=True)
    np.testing.assert_allclose(rates(ours, range(0, 147, 7)), found, rtol=1e-5)
    found = torch_rates(lambda s, o: s.MultiStepLR(o, milestones=[3, 5], gamma=0.1), 8)
    ours = StepDecay(1.0, [3, 5], [0.1, 0.01], steps_per_epoch=7)
    np.testing.assert_allclose(rates(ours, range(0, 56, 7)), found, rtol=1e-6)
    np.testing.assert_allclose(rates(ours, range(6, 56, 7)), found, rtol=1e-6)


def test_cosine_of_keras():
    stock = keras.optimizers.schedules.CosineDecay(
        0.02, 80, alpha=0.1, warmup_target=0.2, warmup_steps=20
    )
    ours = CosineDecay(0.2, 100, final_factor=0.1, warmup=20, warmup_start=0.1)
    steps = range(0, 120, 7)
    np.testing.assert_allclose(rates(ours, steps), rates(stock, steps), rtol=1e-5)


SETTINGS = [
    ("constant", {"warmup": 0.2, "warmup_start": 0.5}, None),
    ("linear", {"warmup": 0.2}, lambda: LinearDecay(1.0, 50, warmup=10)),
    ("cosine", {"warmup": 0.2}, lambda: CosineDecay(1.0, 50, warmup=10)),
    (
        "inverse_square_root",
        {"period": 6, "staircase": False, "warmup": 0.2, "warmup_start": 0.0},
        lambda: InverseSquareRootDecay(1.0, 6, staircase=False, warmup=10, warmup_start=0.0),
    ),
    (
        "piecewise",
        {"fractions": [0.5, 0.8], "factors": [0.1, 0.01], "warmup": 0.2},
        lambda: StepDecay(1.0, [25, 40], [0.1, 0.01], warmup=10),
    ),
    ("one_cycle", {"rise": 0.4}, lambda: OneCycle(1.0, 50, rise=0.4)),
]


@pytest.mark.parametrize(("name", "settings", "make"), SETTINGS)
def test_members_follow_the_schedule_of_their_own_length(name, settings, make):
    totals = keras.ops.convert_to_tensor([50.0, 100.0])
    for step in (0, 4, 9, 10, 24, 25, 40, 49):
        now = keras.ops.convert_to_tensor(float(step))
        factors = SCHEDULES[name](now, totals, **settings)
        assert factors.shape == (2,)
        expected = min(0.5 + step / 20, 1.0) if make is None else float(make()(step))
        assert float(factors[0]) == pytest.approx(expected, rel=1e-5, abs=1e-7)


def test_a_schedule_that_is_saved_with_its_optimizer(tmp_path):
    schedule = CosineDecay(0.1, 10, warmup=2, steps_per_epoch=3)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(schedule), "mse", jit_compile=False)
    model.fit(np.ones((6, 2)), np.ones((6, 1)), batch_size=2, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert float(loaded.optimizer.learning_rate) == float(schedule(3))
    config = json.loads(json.dumps(schedule.get_config()))
    assert CosineDecay.from_config(config).get_config() == config
    cycle = OneCycle(0.1, 10).get_config()
    assert "warmup" not in cycle and OneCycle.from_config(cycle).get_config() == cycle
