"""Settings of the Gaussian process head, its covariance, mean-field logits, SNGP, the callback."""

import keras
import numpy as np

from tfphen.layers.covariance_reset import ResetCovariance
from tfphen.layers.laplace_covariance import LaplaceRandomFeatureCovariance
from tfphen.layers.mean_field import MeanFieldLogits
from tfphen.layers.random_feature_gaussian_process import RandomFeatureGaussianProcess
from tfphen.layers.sngp import SNGP


def _backbone():
    inputs = keras.Input((8,))
    start = keras.initializers.GlorotUniform(seed=2)
    return keras.Model(inputs, keras.layers.Dense(6, "relu", kernel_initializer=start)(inputs))


def _compiled():
    model = SNGP(_backbone(), 3, num_inducing=16)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss)
    return model


LAYERS = {
    "RandomFeatureGaussianProcess": {
        "make": lambda: RandomFeatureGaussianProcess(4, num_inducing=16, seed=1),
        "input_shape": (8,),
        "wrong": [
            (lambda: RandomFeatureGaussianProcess(0), "units"),
            (lambda: RandomFeatureGaussianProcess(3, num_inducing=0), "num_inducing"),
            (lambda: RandomFeatureGaussianProcess(3, kernel_type="linear"), "kernel_type"),
            (lambda: RandomFeatureGaussianProcess(3, kernel_scale=0.0), "kernel_scale"),
            (lambda: RandomFeatureGaussianProcess(3, feature_type="orf"), "feature_type"),
            (lambda: RandomFeatureGaussianProcess(3, feature_stddev=-1.0), "feature_stddev"),
            (lambda: RandomFeatureGaussianProcess(3, output_bias=np.nan), "output_bias"),
            (lambda: RandomFeatureGaussianProcess(3, return_covariance="all"), "return_covariance"),
            (lambda: RandomFeatureGaussianProcess(3, seed=1.5), "seed"),
        ],
    },
    "LaplaceRandomFeatureCovariance": {
        "make": lambda: LaplaceRandomFeatureCovariance(ridge_penalty=0.5),
        "input_shape": (8,),
        "wrong": [
            (lambda: LaplaceRandomFeatureCovariance(2.0), "covariance_momentum"),
            (lambda: LaplaceRandomFeatureCovariance(ridge_penalty=0.0), "ridge_penalty"),
            (lambda: LaplaceRandomFeatureCovariance(ridge_in="end"), "ridge_in"),
            (lambda: LaplaceRandomFeatureCovariance(likelihood="probit"), "likelihood"),
            (
                lambda: LaplaceRandomFeatureCovariance(covariance_replicas="none"),
                "covariance_replicas",
            ),
        ],
    },
    "MeanFieldLogits": {
        "make": lambda: MeanFieldLogits(2.0),
        "input_shape": (4,),
        "wrong": [
            (lambda: MeanFieldLogits(float("nan")), "mean_field_factor"),
            (lambda: MeanFieldLogits(likelihood="softmax"), "likelihood"),
        ],
    },
    "SNGP": {
        "make": lambda: SNGP(_backbone(), 3, num_inducing=16),
        "wrong": [
            (lambda: SNGP(keras.layers.Dense(3), 3), "backbone"),
            (lambda: SNGP(_backbone(), 3, features="top"), "features"),
            (lambda: SNGP(_backbone(), 3, norm_multiplier=0.0), "norm_multiplier"),
            (lambda: SNGP(_backbone(), 3, power_iterations=0), "power_iterations"),
            (lambda: SNGP(_backbone(), 3, mean_field_factor=np.inf), "mean_field_factor"),
        ],
    },
}

CALLBACKS = {"ResetCovariance": {"make": ResetCovariance, "model": _compiled}}


def _normal(generator, *shape):
    return generator.normal(size=shape).astype("float32")


FUNCTIONS = {
    "fit_covariance": {},
    "mean_field_logits": {
        "arguments": lambda generator: (_normal(generator, 5, 3), _normal(generator, 5) ** 2),
        "wrong": [((np.zeros((5, 3)), np.zeros(4)), {}, "covariance")],
    },
    "random_feature_weights": {
        "arguments": lambda generator: (3, 8),
        "settings": {"feature_type": "orthogonal", "seed": 2},
        "wrong": [((3, 8), {"kernel_type": "linear"}, "kernel_type")],
    },
    "random_features": {
        "arguments": lambda generator: (
            _normal(generator, 4, 3),
            _normal(generator, 3, 8),
            _normal(generator, 8),
        ),
    },
    "spectrally_normalized_clone": {},
    "update_covariance": {},
}
