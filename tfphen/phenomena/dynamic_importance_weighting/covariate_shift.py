"""Importance-weighted regression lines where training and test inputs differ in distribution.

The regression data of Shimodaira and of Sugiyama: inputs N(1, ½²) for training and N(2, ¼²) for
testing; the target function is a sinc curve, which no line fits, or a line.
"""

from collections.abc import Callable, Sequence

import numpy as np

from tfphen import density_ratio
from tfphen.core import checks, references
from tfphen.core.errors import UsageError
from tfphen.core.seeds import stream
from tfphen.data.dataset import Dataset
from tfphen.solvers.base import Problem

# Mean and deviation of the inputs.
TRAIN, TEST = (1.0, 0.5), (2.0, 0.25)
TRUTHS = {"sinc": np.sinc, "line": lambda x: 1.0 - 0.6 * x}


def covariate_shift(
    *,
    truth: str = "sinc",
    train: int = 150,
    test: int = 500,
    noise: float = 0.1,
    generator_seed: int = 0,
) -> Dataset:
    """Draws the data: inputs `(n, 2)` hold x and its target; all labels are 0.

    Args:
        truth: `"sinc"`, or `"line"`, which a line fits.
        train: Number of training examples.
        test: Number of test examples, whose targets have no noise.
        noise: Standard deviation of the training targets' noise.
        generator_seed: Seed of the data.
    """
    curve = TRUTHS[checks.one_of("truth", truth, tuple(TRUTHS))]
    checks.wholes(train=train, test=test)
    generator = stream(generator_seed, "covariate_shift")
    x = generator.normal(*TRAIN, train)
    y = curve(x) + checks.number("noise", noise, 0) * generator.normal(size=train)
    tested = generator.normal(*TEST, test)
    return Dataset(
        np.column_stack([x, y]),
        np.zeros(train, int),
        np.column_stack([tested, curve(tested)]),
        np.zeros(test, int),
        num_classes=2,
        name="covariate_shift",
        description="regression on one input, from N(1, 0.5²) to N(2, 0.25²)",
    )


def true_weights(inputs) -> np.ndarray:
    """The density ratio p_test(x) / p_train(x)."""
    logs = [-0.5 * ((inputs - mean) / sd) ** 2 - np.log(sd) for mean, sd in (TEST, TRAIN)]
    return np.exp(logs[0] - logs[1])


def _one_step(train, targets, test):
    return density_ratio.one_step(train, targets, test).parameters


def _fit(train, targets, weights):
    design = np.column_stack([np.ones_like(train), train])
    roots = np.sqrt(weights)
    return np.linalg.lstsq(design * roots[:, None], targets * roots, rcond=None)[0]


# From training inputs and targets and test inputs to the intercept and slope of a line.
METHODS: dict[str, Callable] = {
    "unweighted": lambda train, y, test: _fit(train, y, np.ones_like(train)),
    "true_weights": lambda train, y, test: _fit(train, y, true_weights(train)),
    "ulsif": lambda train, y, test: _fit(train, y, density_ratio.ulsif(train, test)(train)),
    "kmm": lambda train, y, test: _fit(
        train, y, density_ratio.kernel_mean_matching(train, test, bound=50.0)
    ),
    "kliep": lambda train, y, test: _fit(train, y, density_ratio.kliep(train, test)(train)),
    "one_step": _one_step,
}


class LinePredictor:
    """The lines of all members.

    Attributes:
        execution: The method of the fit.
        num_parameters: Numbers of one line.
        diagnostics: `"slope"`, `[members]`.
    """

    execution, num_parameters = "weighted least squares", 2

    def __init__(self, lines: np.ndarray):
        self._lines, self.diagnostics = lines, {"slope": lines[:, 1]}

    def predict(
        self, inputs: np.ndarray, rows: np.ndarray | None = None, layers: Sequence[str] = ()
    ) -> np.ndarray:
        """Returns the values of the lines, `[members, n, 1]`, float64.

        Args:
            inputs: A pool of examples, `[pool, 2]`.
            rows: Rows of the pool for each member, `[members, n]`.
            layers: Empty: there are none.

        Raises:
            UsageError: Outputs of layers are requested.
        """
        if layers:
            raise UsageError(f"A line has no layers. Received: {list(layers)}")
        if rows is None:
            rows = np.broadcast_to(np.arange(len(inputs)), (len(self._lines), len(inputs)))
        return (self._lines[:, :1] + self._lines[:, 1:] * inputs[rows][..., 0])[..., None]


def _line(*, method: str = "unweighted") -> Callable:
    return METHODS[checks.one_of("method", method, tuple(METHODS))]


def solve(problem: Problem) -> LinePredictor:
    """Fits a line to the training examples of each member.

    The model is `line(method="unweighted")`, with one of `METHODS`. Weights are estimated from the
    test inputs, without their targets.

    Args:
        problem: Its trials name the model.
    """
    spec = problem.trials[0].model
    method = references.call("model", references.look_up("model", {"line": _line}, spec), spec)
    lines = []
    for one in problem.examples.resolved:
        train, test = one.train_inputs.astype("float64"), one.test_inputs.astype("float64")
        lines.append(method(train[:, 0], train[:, 1], test[:, 0]))
        problem.tick(1.0)
    return LinePredictor(np.stack(lines))
