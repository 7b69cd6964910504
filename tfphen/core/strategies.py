"""Names of the tf.distribute strategies, for modules that do not import TensorFlow."""

from tfphen.core.errors import UsageError, nearest

# `tfphen.train.strategy.get` describes them.
AVAILABLE = ("auto", "one", "mirrored")


def check_strategy(name: str) -> str:
    """Returns a name after checking that it is one of a strategy.

    Raises:
        UsageError: It is unknown.
    """
    if name not in AVAILABLE:
        raise UsageError(
            f"Unknown strategy {name!r}.{nearest(name, AVAILABLE)} Allowed: {', '.join(AVAILABLE)}"
        )
    return name
