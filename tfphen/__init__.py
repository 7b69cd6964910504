"""tfphen reproduces published phenomena of deep learning and says whether each one showed."""

__version__ = "0.1.0"


def __getattr__(name: str):
    # Nothing heavy is imported until it is used.
    if name in ("run", "read_runs"):
        from tfphen.experiment import api

        return getattr(api, name)
    raise AttributeError(f"module 'tfphen' has no attribute {name!r}")
