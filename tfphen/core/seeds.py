"""Independent, named random streams from one integer seed. No global state.

Every random number that affects a result (initial weights, order of the data, label noise, splits,
dropout keys) is drawn on the host by NumPy from a stream, because TensorFlow's own generators
give different numbers with and without XLA.
"""

import zlib

import numpy as np

from tfphen.core.types import Integers


def sequence(seed: int, name: str, *fold: int) -> np.random.SeedSequence:
    """Returns the `SeedSequence` of stream `name` of `seed`, folded by any integers.

    Args:
        seed: Non-negative integer.
        name: The stream, for instance `"init"`, `"order"`, `"label_noise"`.
        *fold: Non-negative integers that split the stream further, such as a layer or a replica.
    """
    if seed < 0:
        raise ValueError(f"A seed is a non-negative integer. Received: seed={seed}")
    return np.random.SeedSequence(entropy=seed, spawn_key=(zlib.crc32(name.encode()), *fold))


def stream(seed: int, name: str, *fold: int) -> np.random.Generator:
    """Returns a NumPy generator for stream `name` of `seed`. See `sequence`."""
    return np.random.Generator(np.random.PCG64(sequence(seed, name, *fold)))


def key(seed: int, name: str, *fold: int) -> Integers:
    """Returns two `uint32` words that key a counter-based generator on the device."""
    return sequence(seed, name, *fold).generate_state(2, np.uint32)
