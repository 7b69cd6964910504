"""Keras optimizers and learning-rate schedules that match PyTorch recipes and papers."""

from tfphen.optimizers.adam import Adam
from tfphen.optimizers.coupled_weight_decay import CoupledWeightDecay
from tfphen.optimizers.inverse_square_root import InverseSquareRootDecay
from tfphen.optimizers.one_cycle import OneCycle
from tfphen.optimizers.schedules import CosineDecay, LinearDecay, StepDecay
from tfphen.optimizers.sgd import SGD

__all__ = [
    "SGD",
    "Adam",
    "CosineDecay",
    "CoupledWeightDecay",
    "InverseSquareRootDecay",
    "LinearDecay",
    "OneCycle",
    "StepDecay",
]
