"""Importance weights: estimates of the ratio of a test density to a training density.

    w(x) = p_test(x) / p_train(x),   E_test[f] = E_train[w f]

Kernel mean matching gives weights of the training points; uLSIF, RuLSIF and KLIEP give a function
of x; the one-step method learns weights together with the predictor that they are for. NumPy in
float64: importing this imports no Keras.
"""

from tfphen.density_ratio.kernel_ratio import KernelRatio, median_gamma
from tfphen.density_ratio.least_squares_fitting import rulsif, ulsif
from tfphen.density_ratio.likelihood_fitting import kliep
from tfphen.density_ratio.mean_matching import box_quadratic_programme, kernel_mean_matching
from tfphen.density_ratio.one_step import OneStep, one_step, risk_bound
from tfphen.density_ratio.transforms import flattened_weights, relative_weights

__all__ = [
    "KernelRatio",
    "OneStep",
    "box_quadratic_programme",
    "flattened_weights",
    "kernel_mean_matching",
    "kliep",
    "median_gamma",
    "one_step",
    "relative_weights",
    "risk_bound",
    "rulsif",
    "ulsif",
]
