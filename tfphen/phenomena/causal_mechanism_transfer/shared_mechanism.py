"""Synthetic domains that share a mechanism, and differ in the distributions of its components.

Every domain draws s_1 and s_2 from its own uniform distributions. One mechanism maps them to

    z_1 = s_1,    z_2 = 0.5 sinh(1.2 z_1) + s_2 (1.2 + tanh z_1)    ("nonlinear"), or
    z_1 = s_1,    z_2 = 1.5 z_1 + s_2                               ("linear").
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tfphen.core import checks
from tfphen.core.seeds import stream
from tfphen.data.dataset import Dataset

# Units of the examples, in which both variables have a variance near 1.
UNITS = np.asarray([1.2, 3.2])
# Half-widths of the distributions are the first times a number between the second and 1.
_HALF_WIDTH, _LEAST = 1.7, 0.4
# Central share of a distribution on which predictions are compared with the truth.
_CENTRAL = 0.9


class Mechanism(NamedTuple):
    """A map from components to variables, and its inverse.

    Args:
        offset: The part of z_2 that depends on z_1 alone.
        scale: Factor of s_2.
    """

    offset: Callable[[np.ndarray], np.ndarray]
    scale: Callable[[np.ndarray], np.ndarray]

    def points(self, components: np.ndarray) -> np.ndarray:
        """Maps components `[n, 2]` to points, `[n, 2]`, in units of `UNITS`."""
        first, second = components.T
        return np.stack([first, self.offset(first) + second * self.scale(first)], 1) / UNITS

    def components(self, points: np.ndarray) -> np.ndarray:
        """Maps points `[n, 2]` to components, `[n, 2]`."""
        first, second = (points * UNITS).T
        return np.stack([first, (second - self.offset(first)) / self.scale(first)], 1)


MECHANISMS = {
    "nonlinear": Mechanism(lambda z: 0.5 * np.sinh(1.2 * z), lambda z: 1.2 + np.tanh(z)),
    "linear": Mechanism(lambda z: 1.5 * z, np.ones_like),
}


def shared_mechanism(
    *,
    mechanism: str = "nonlinear",
    domains: int = 10,
    per_domain: int = 200,
    points: int = 10,
    evaluations: int = 100,
    shift: float = 1.0,
    generator_seed: int = 0,
) -> Dataset:
    """Draws source domains, a few points of a target domain, and its true regression function.

    Inputs are (z_1, z_2) in units of `UNITS`, labels are domains, the last of which is the target.
    The target's test examples are evenly spaced on the central 90% of the distribution of z_1, with
    the mean of z_2 given z_1 in place of z_2.

    Args:
        mechanism: `"nonlinear"` or `"linear"`.
        domains: Number of source domains.
        per_domain: Examples of each.
        points: Examples of the target domain in the training set.
        evaluations: Test examples.
        shift: Standard deviation of the means over domains. At 0 all domains have the same
            distributions, of mean 0 and the largest width.
        generator_seed: Seed of the data.

    Raises:
        UsageError: A setting is out of its range.
    """
    checks.one_of("mechanism", mechanism, tuple(MECHANISMS))
    checks.whole("domains", domains, 2)
    for name, value in (("per_domain", per_domain), ("evaluations", evaluations)):
        checks.whole(name, value, 1)
    checks.whole("points", points, 2)
    checks.number("shift", shift, 0)
    checks.whole("generator_seed", generator_seed, 0)
    laws = stream(generator_seed, "shared_mechanism", 0)
    means = shift * laws.standard_normal((domains + 1, 2))
    halves = _HALF_WIDTH * laws.uniform(_LEAST, 1.0, (domains + 1, 2))
    if shift == 0:
        halves[:] = _HALF_WIDTH
    draws = stream(generator_seed, "shared_mechanism", 1)
    shared, inputs, labels = MECHANISMS[mechanism], [], []
    for domain, count in enumerate([per_domain] * domains + [points]):
        uniform = draws.uniform(-1.0, 1.0, (count, 2))
        inputs.append(shared.points(means[domain] + halves[domain] * uniform))
        labels.append(np.full(count, domain))
    grid = means[-1, 0] + halves[-1, 0] * np.linspace(-_CENTRAL, _CENTRAL, evaluations)
    truth = shared.points(np.stack([grid, np.full(evaluations, means[-1, 1])], 1))
    return Dataset(
        np.concatenate(inputs),
        np.concatenate(labels),
        truth,
        np.full(evaluations, domains),
        num_classes=domains + 1,
        name="shared_mechanism",
        description=f"{domains} domains that share a {mechanism} mechanism, and a target domain",
    )
