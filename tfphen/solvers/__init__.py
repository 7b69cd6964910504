"""Fits without gradient steps that several phenomena use, behind one protocol, `base.Solver`."""

SOLVERS = {"least_squares": f"{__name__}.linear_readout:solve"}
