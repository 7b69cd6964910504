"""Solver: hard-margin SVMs on signals with or without all their circular shifts."""

import numpy as np

from tfphen.metrics.robustness.dc_margin import circular_shifts, dc_margin
from tfphen.solvers.base import Problem
from tfphen.solvers.hard_margins import plain_machine
from tfphen.solvers.linear_classifiers import LinearClassifiers


def solve_hard_margin(problem: Problem) -> LinearClassifiers:
    """Fits the hard-margin SVM on all circular shifts of the training signals, or on the signals.

    Its diagnostics are the margin, divided by the exact one for all shifts, and the cosine of its
    normal with the constant signal.
    """
    pool, rows, labels = problem.examples.splits["train"]
    found, ratios, cosines = [], [], []
    for index, trial in enumerate(problem.trials):
        inputs, classes = pool[rows[index]].astype("float64"), labels["labels"][index]
        size = inputs.shape[1]
        exact = dc_margin(inputs[classes == 0], inputs[classes == 1])
        if trial.solver.settings["shifts"]:
            inputs = circular_shifts(inputs).reshape(-1, size)
            classes = np.repeat(classes, size)
        weights, intercept = plain_machine(inputs, 2 * classes - 1)
        length = np.linalg.norm(weights)
        found.append((weights, intercept))
        ratios.append(2 / length / exact.margin)
        cosines.append(weights @ exact.normal / length)
        problem.tick(1.0)
    diagnostics = {"margin_over_dc_margin": ratios, "cosine_with_constant": cosines}
    diagnostics = {name: np.asarray(values) for name, values in diagnostics.items()}
    return LinearClassifiers(*zip(*found, strict=True), "support vector machines", diagnostics)
