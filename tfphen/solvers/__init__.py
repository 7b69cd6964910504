"""Solvers that several phenomena use: fits without gradient steps, see `base.Solver`."""

# References to solvers, for `Trial.solver`.
SOLVERS = {"least_squares": f"{__name__}.linear_readout:solve"}
