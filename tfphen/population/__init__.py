"""Many copies of one Keras model trained as one program."""

from typing import TYPE_CHECKING, Any

from tfphen.core import references

if TYPE_CHECKING:
    from tfphen.population.optimizers import MemberOptimizer as MemberOptimizer
    from tfphen.population.population import Population as Population
    from tfphen.population.prediction import Predictor as Predictor

# Loaded when they are used, since they import TensorFlow.
_NAMES = {
    "MemberOptimizer": f"{__name__}.optimizers:MemberOptimizer",
    "Population": f"{__name__}.population:Population",
    "Predictor": f"{__name__}.prediction:Predictor",
}
__all__ = ["MemberOptimizer", "Population", "Predictor"]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return references.load(_NAMES[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
