"""Learning-rate schedules of trials: factors on the optimizer's own rate, as functions of the step.

Each takes `step`, the number of updates done so far, and `total`, the length of the training in
steps, float32 tensors that broadcast, and returns the factor. Members of one population may have
different lengths, so what a trial sets is a fraction of its own length. The formulas are those of
`tfphen.optimizers.schedule_factors`, which the Keras schedules of `tfphen.optimizers` use too.
"""

from keras import ops

from tfphen.optimizers import schedule_factors


def _warm(step, total, warmup, warmup_start):
    return schedule_factors.warmup_factor(step, warmup * total, warmup_start)


def constant(step, total, warmup=0.0, warmup_start=None):
    """1 throughout, after a linear warm-up.

    Args:
        step: Updates done so far.
        total: Length of the training in steps.
        warmup: Of all schedules: the share of `total` in which the rate rises linearly.
        warmup_start: Of all schedules: the factor of the first update; None for one share of the
            warm-up's steps, so that its last step has factor 1.
    """
    return _warm(step, total, warmup, warmup_start) * ops.ones_like(total + step)


def cosine(step, total, warmup=0.0, warmup_start=None):
    """Half a cosine from 1 to 0 (Loshchilov and Hutter 2017, arXiv 1608.03983, equation 5)."""
    falling = schedule_factors.cosine(step, total, warmup * total)
    return _warm(step, total, warmup, warmup_start) * falling


def linear(step, total, warmup=0.0, warmup_start=None):
    """A straight line from 1 to 0."""
    falling = schedule_factors.linear(step, total, warmup * total)
    return _warm(step, total, warmup, warmup_start) * falling


def inverse_square_root(step, total, period=512, staircase=True, warmup=0.0, warmup_start=None):
    """`1 / sqrt(1 + floor(step / period))` (Nakkiran et al. 2020, arXiv 1912.02292).

    Args:
        step: Updates done so far.
        total: Length of the training in steps; only a warm-up depends on it.
        period: In steps.
        staircase: False leaves out the rounding.
        warmup: As in `constant`. Steps count from its end.
        warmup_start: As in `constant`.
    """
    falling = schedule_factors.inverse_square_root(step, period, warmup * total, staircase)
    return _warm(step, total, warmup, warmup_start) * falling


def piecewise(step, total, fractions, factors, warmup=0.0, warmup_start=None):
    """A factor for each piece of training.

    Args:
        step: Updates done so far.
        total: Length of the training in steps.
        fractions: Where a new piece begins, as increasing fractions of `total`.
        factors: The factor from each of `fractions` on; 1 before the first.
        warmup: As in `constant`. Pieces count from the start of the training.
        warmup_start: As in `constant`.
    """
    boundaries = [fraction * total for fraction in fractions]
    pieces = schedule_factors.piecewise(step, boundaries, factors)
    return _warm(step, total, warmup, warmup_start) * pieces


def one_cycle(step, total, rise=0.3, initial_divisor=25.0, final_divisor=1e4, anneal="cosine"):
    """Up to 1 and down again, see `tfphen.optimizers.schedule_factors.one_cycle`."""
    return schedule_factors.one_cycle(step, total, rise, initial_divisor, final_divisor, anneal)


SCHEDULES = {
    "constant": constant,
    "cosine": cosine,
    "linear": linear,
    "inverse_square_root": inverse_square_root,
    "one_cycle": one_cycle,
    "piecewise": piecewise,
}
