"""The peer in JAX: `vmap` over members, `lax.scan` over updates, one compiled program.

Convolutions are patches times a matrix: `lax.conv` under `vmap` becomes a grouped convolution,
which is many times slower on a CPU.
"""

import itertools

import cases
import jax
import jax.numpy as jnp
import numpy as np

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7


def _convolution(x, kernel, bias, stride=1, same=True):
    """`x` is `[batch, *space, channels]`, `kernel` `[*window, channels, filters]`."""
    window, space = kernel.shape[:-2], x.shape[1:-1]
    if same:
        needed = [
            max((-(-n // stride) - 1) * stride + k - n, 0)
            for n, k in zip(space, window, strict=True)
        ]
        pads = [(0, 0), *((p // 2, p - p // 2) for p in needed), (0, 0)]
        x = jnp.pad(x, pads)
    outs = [(n - k) // stride + 1 for n, k in zip(x.shape[1:-1], window, strict=True)]
    slices = []
    for start in itertools.product(*map(range, window)):
        index = [
            slice(s, s + (n - 1) * stride + 1, stride) for s, n in zip(start, outs, strict=True)
        ]
        slices.append(x[(slice(None), *index)])
    patches = jnp.concatenate(slices, -1)
    return jax.nn.relu(patches @ kernel.reshape(-1, kernel.shape[-1]) + bias)


def _max_pool(x):
    batch, rows, columns, channels = x.shape
    return x.reshape(batch, rows // 2, 2, columns // 2, 2, channels).max((2, 4))


def _dense(weights, x, relu=True):
    x = x @ weights[0] + weights[1]
    return jax.nn.relu(x) if relu else x


SHAPES = {
    "mlp": [(40, 100), (100, 100), (100, 10)],
    "cnn": [(5, 1, 25), (3, 25, 25), (3, 25, 25), (125, 10)],
    "lenet": [(5, 5, 1, 6), (5, 5, 6, 16), (400, 120), (120, 84), (84, 10)],
}


def _outputs(name, weights, x):
    if name == "cnn":
        for kernel, bias in weights[:3]:
            x = _convolution(x, kernel, bias, stride=2)
        weights = weights[3:]
    elif name == "lenet":
        x = _max_pool(_convolution(x, *weights[0]))
        x = _max_pool(_convolution(x, *weights[1], same=False))
        weights = weights[2:]
    x = x.reshape(len(x), -1)
    for pair in weights[:-1]:
        x = _dense(pair, x)
    return _dense(weights[-1], x, relu=False)


def prepare(runner: str, name: str):
    """Returns a function that trains all members of a case for a number of updates."""
    del runner
    case = cases.CASES[name]
    inputs, labels = map(jnp.asarray, cases.data(case))
    generator = np.random.default_rng(0)
    weights = [
        (
            (generator.normal(size=(case.members, *shape)) / np.sqrt(np.prod(shape[:-1]))).astype(
                "float32"
            ),
            np.zeros((case.members, shape[-1]), "float32"),
        )
        for shape in SHAPES[name]
    ]
    weights = jax.tree.map(jnp.asarray, weights)
    zeros = jax.tree.map(jnp.zeros_like, weights)

    def loss(weights, rows):
        logs = jax.nn.log_softmax(_outputs(name, weights, inputs[rows]))
        return -jnp.take_along_axis(logs, labels[rows, None], 1).mean()

    def update(state, rows):
        count, weights, first, second = state
        losses, gradients = jax.vmap(jax.value_and_grad(loss))(weights, rows)
        count += 1
        first = jax.tree.map(lambda m, g: BETA_1 * m + (1 - BETA_1) * g, first, gradients)
        second = jax.tree.map(lambda v, g: BETA_2 * v + (1 - BETA_2) * g * g, second, gradients)
        rate = cases.LEARNING_RATE * jnp.sqrt(1 - BETA_2**count) / (1 - BETA_1**count)
        weights = jax.tree.map(
            lambda w, m, v: w - rate * m / (jnp.sqrt(v) + EPSILON), weights, first, second
        )
        return (count, weights, first, second), losses

    train = jax.jit(lambda state, rows: jax.lax.scan(update, state, rows), donate_argnums=0)
    state = (jnp.float32(0), weights, zeros, jax.tree.map(jnp.copy, zeros))
    rows_of_epoch = np.tile(np.arange(cases.EXAMPLES, dtype="int32"), (case.members, 1))

    def round_(steps):
        nonlocal state
        epochs = -(-steps * cases.BATCH // cases.EXAMPLES)
        orders = [generator.permuted(rows_of_epoch, axis=1) for _ in range(epochs)]
        rows = np.concatenate(orders, 1).reshape(case.members, -1, cases.BATCH)
        state, losses = train(state, rows.swapaxes(0, 1)[:steps])
        losses.block_until_ready()

    return round_
