"""SGD and Adam against PyTorch's rules in NumPy, and against PyTorch where it is installed."""

import keras
import numpy as np
import pytest

from tfphen.optimizers import SGD, Adam, StepDecay

SGD_SETTINGS = {
    "plain": {},
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9, "nesterov": True},
    "decay": {"coupled_weight_decay": 0.1},
    "all": {"momentum": 0.8, "nesterov": True, "coupled_weight_decay": 0.1},
}
ADAM_SETTINGS = {
    "plain": {},
    "decay": {"coupled_weight_decay": 0.1},
    "large epsilon": {"epsilon": 0.1, "beta_2": 0.9},
    "amsgrad": {"amsgrad": True, "beta_1": 0.5, "beta_2": 0.7},
    "adamw": {"weight_decay": 0.1, "epsilon": 1e-3},
}
START = np.array([1.0, -2.0, 0.5, 2.0])
# A saddle, with directions of very different steepness: gradients of every size, of both signs.
CURVATURE = np.array([1.0, 0.1, 1e-3, -0.2])
COUNT = 12


def gradient(weight, step):
    return CURVATURE * weight + 0.3 * np.cos(step)


def sgd_in_numpy(rates, momentum=0.0, nesterov=False, coupled_weight_decay=0.0):
    weight, buffer = START.copy(), 0.0
    for step, rate in enumerate(rates):
        moved = gradient(weight, step) + coupled_weight_decay * weight
        if momentum:
            buffer = momentum * buffer + moved
            moved = moved + momentum * buffer if nesterov else buffer
        weight = weight - rate * moved
        yield weight


def adam_in_numpy(
    rates, beta_1=0.9, beta_2=0.999, epsilon=1e-8, amsgrad=False, coupled_weight_decay=0.0,
    weight_decay=0.0,
):  # fmt: skip
    weight, mean, square, largest = START.copy(), 0.0, 0.0, 0.0
    for step, rate in enumerate(rates):
        slope = gradient(weight, step) + coupled_weight_decay * weight
        weight = weight * (1 - rate * weight_decay)
        mean = beta_1 * mean + (1 - beta_1) * slope
        square = beta_2 * square + (1 - beta_2) * slope**2
        largest = np.maximum(largest, square)
        used = largest if amsgrad else square
        root = np.sqrt(used) / np.sqrt(1 - beta_2 ** (step + 1)) + epsilon
        weight = weight - rate / (1 - beta_1 ** (step + 1)) * mean / root
        yield weight


def path_of(optimizer):
    weight = keras.Variable(START.astype("float32"))
    for step in range(COUNT):
        slope = gradient(keras.ops.convert_to_numpy(weight), step).astype("float32")
        optimizer.apply([keras.ops.convert_to_tensor(slope)], [weight])
        yield keras.ops.convert_to_numpy(weight).copy()


def torch_path(make, rates):
    torch = pytest.importorskip("torch", reason="PyTorch, the peer, is not installed")
    weight = torch.nn.Parameter(torch.tensor(START))
    optimizer = make(torch.optim, [weight])
    for step, rate in enumerate(rates):
        for group in optimizer.param_groups:
            group["lr"] = rate
        values = weight.detach().numpy()
        weight.grad = torch.tensor(gradient(values, step))
        optimizer.step()
        yield weight.detach().numpy().copy()


RATES = [0.1] * 5 + [0.01] * (COUNT - 5)
DROP = StepDecay(0.1, [5], [0.1])


def renamed(settings, **names):
    return {names.get(key, key): value for key, value in settings.items()}


@pytest.mark.parametrize("name", SGD_SETTINGS)
def test_sgd_through_a_drop_of_the_rate(name):
    settings = SGD_SETTINGS[name]
    expected = list(sgd_in_numpy(RATES, **settings))
    np.testing.assert_allclose(list(path_of(SGD(DROP, **settings))), expected, rtol=2e-6, atol=1e-6)
    theirs = renamed(settings, coupled_weight_decay="weight_decay")
    peer = list(torch_path(lambda optim, w: optim.SGD(w, lr=0.1, **theirs), RATES))
    np.testing.assert_allclose(peer, expected, rtol=1e-12)


@pytest.mark.parametrize("name", ADAM_SETTINGS)
def test_adam_through_a_drop_of_the_rate(name):
    settings = ADAM_SETTINGS[name]
    expected = list(adam_in_numpy(RATES, **settings))
    np.testing.assert_allclose(
        list(path_of(Adam(DROP, **settings))), expected, rtol=1e-5, atol=1e-6
    )
    theirs = renamed(settings, coupled_weight_decay="weight_decay", epsilon="eps")
    betas = (theirs.pop("beta_1", 0.9), theirs.pop("beta_2", 0.999))

    def make(optim, weights):
        cls = optim.AdamW if name == "adamw" else optim.Adam
        return cls(weights, lr=0.1, betas=betas, **{"weight_decay": 0.0, **theirs})

    np.testing.assert_allclose(list(torch_path(make, RATES)), expected, rtol=1e-12)


@pytest.mark.parametrize("nesterov", [False, True])
def test_keras_placements_are_keras(nesterov):
    settings = {"momentum": 0.9, "nesterov": nesterov}
    ours = list(path_of(SGD(DROP, learning_rate_placement="keras", **settings)))
    stock = list(path_of(keras.optimizers.SGD(DROP, **settings)))
    np.testing.assert_array_equal(ours, stock)
    # The two differ only once the rate has changed.
    torch = np.array(list(path_of(SGD(DROP, **settings))))
    np.testing.assert_allclose(torch[:5], ours[:5], rtol=1e-5)
    assert np.abs(torch[5:] - ours[5:]).max() > 1e-2
    ours = list(path_of(Adam(DROP, epsilon=1e-7, epsilon_placement="keras", amsgrad=nesterov)))
    stock = list(path_of(keras.optimizers.Adam(DROP, amsgrad=nesterov)))
    np.testing.assert_array_equal(ours, stock)


def test_placement_of_epsilon_at_the_first_step():
    """A gradient as small as epsilon: half a step where Keras takes a thirtieth."""
    found = {}
    for placement in ("torch", "keras"):
        weight = keras.Variable([0.0])
        optimizer = Adam(1.0, epsilon=1e-4, epsilon_placement=placement)
        optimizer.apply([keras.ops.convert_to_tensor([1e-4])], [weight])
        found[placement] = -float(weight[0])
    assert found["torch"] == pytest.approx(0.5, rel=1e-5)
    assert found["keras"] == pytest.approx(1 / (1 + 1 / np.sqrt(1e-3)), rel=1e-3)


def test_adam_without_memory_of_the_mean():
    weight = keras.Variable([1.0])
    optimizer = Adam(0.1, beta_1=0.0, beta_2=0.0)
    for slope in (2.0, -5.0):
        optimizer.apply([keras.ops.convert_to_tensor([slope])], [weight])
    assert float(weight[0]) == pytest.approx(1.0, abs=1e-6)


def test_tiny_epsilons_keep_their_meaning():
    """StableMax is trained with 1e-25; gradients of 1e-20 have squares that underflow."""
    weight = keras.Variable([1.0])
    optimizer = Adam(0.1, epsilon=1e-25)
    optimizer.apply([keras.ops.convert_to_tensor([1e-15])], [weight])
    assert float(weight[0]) == pytest.approx(0.9, rel=1e-5)


def test_rates_are_float_or_schedule_or_callable():
    for rate in (1, np.float64(1.0), lambda: 1.0):
        weight = keras.Variable([1.0])
        SGD(rate).apply([keras.ops.convert_to_tensor([0.25])], [weight])
        assert float(weight[0]) == 0.75
    for cls in (SGD, Adam):
        with pytest.raises(ValueError, match=r"`learning_rate` must be .* Received"):
            cls(learning_rate=None)
