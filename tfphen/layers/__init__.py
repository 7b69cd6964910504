"""Keras layers of the phenomena, for use in any Keras model, on every backend.

Where a layer is a thin class over a computation, the computation is here too, as a function.
"""

from tfphen.layers.blur_pool import BlurPool2D, blur_pool_2d
from tfphen.layers.circular_convolution import CircularConvolution
from tfphen.layers.circular_padding import CircularPadding2D, circular_padding_2d
from tfphen.layers.covariance_reset import ResetCovariance, fit_covariance, update_covariance
from tfphen.layers.laplace_covariance import LaplaceRandomFeatureCovariance
from tfphen.layers.manifold_mixup import ManifoldMixup
from tfphen.layers.mean_field import (
    MEAN_FIELD_LOGISTIC,
    MEAN_FIELD_PROBIT,
    MeanFieldLogits,
    mean_field_logits,
)
from tfphen.layers.mixing import mix
from tfphen.layers.normalized_dense import NormalizedDense, normalized_dense
from tfphen.layers.operator_norm import convolution_norm
from tfphen.layers.random_feature_gaussian_process import RandomFeatureGaussianProcess
from tfphen.layers.random_features import random_feature_weights, random_features
from tfphen.layers.sngp import SNGP
from tfphen.layers.spectral_normalization import SpectralNormalization
from tfphen.layers.spectrally_normalized_clone import spectrally_normalized_clone

__all__ = [
    "MEAN_FIELD_LOGISTIC",
    "MEAN_FIELD_PROBIT",
    "SNGP",
    "BlurPool2D",
    "CircularConvolution",
    "CircularPadding2D",
    "LaplaceRandomFeatureCovariance",
    "ManifoldMixup",
    "MeanFieldLogits",
    "NormalizedDense",
    "RandomFeatureGaussianProcess",
    "ResetCovariance",
    "SpectralNormalization",
    "blur_pool_2d",
    "circular_padding_2d",
    "convolution_norm",
    "fit_covariance",
    "mean_field_logits",
    "mix",
    "normalized_dense",
    "random_feature_weights",
    "random_features",
    "spectrally_normalized_clone",
    "update_covariance",
]
