"""Names of the tf.distribute strategies, for those who do not import TensorFlow."""

from tfphen.core.errors import UsageError, nearest

# What each is: see `tfphen.train.strategy.get`.
AVAILABLE = ("auto", "one", "mirrored")


def check_strategy(name: str) -> str:
    """Returns the name of a strategy.

    Raises:
        UsageError: There is none of this name.
    """
    if name not in AVAILABLE:
        raise UsageError(
            f"Unknown strategy {name!r}.{nearest(name, AVAILABLE)} Allowed: {', '.join(AVAILABLE)}"
        )
    return name
