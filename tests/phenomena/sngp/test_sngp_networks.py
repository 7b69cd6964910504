"""Networks with bounded layers, a Gaussian process, or both."""

import numpy as np
import pytest

from tfphen.core.errors import UsageError


@pytest.mark.parametrize("name", ["residual", "wide_resnet", "transformer"])
def test_bounded_layers_and_gaussian_process(tensorflow, name):
    from tfphen.layers import RandomFeatureGaussianProcess, SpectralNormalization
    from tfphen.phenomena.sngp import networks

    shape, settings = {
        "residual": ((4, 3), {"depth": 2, "width": 8}),
        "wide_resnet": ((8, 8, 3), {"depth": 10, "width": 1, "l2": 0.5}),
        "transformer": ((4,), {"depth": 1, "width": 8, "heads": 2, "vocabulary_size": 9}),
    }[name]
    build = getattr(networks, f"sngp_{name}")
    plain = build(shape, 3, **settings)
    process = {"num_inducing": 16, "feature_stddev": 0.5}
    model = build(
        shape, 3, norm_multiplier=0.5, head="gaussian_process", gaussian_process=process, **settings
    )
    head = model.get_layer("logits")
    assert isinstance(head, RandomFeatureGaussianProcess)
    assert (head.num_inducing, head.feature_stddev) == (16, 0.5)
    wrapped = [layer for layer in model.layers if isinstance(layer, SpectralNormalization)]
    kernels = [v for v in plain.trainable_variables if v.name == "kernel"]
    # All but that of the head.
    assert len(wrapped) == len(kernels) - 1
    assert not any(isinstance(layer, SpectralNormalization) for layer in plain.layers)
    inputs = np.ones((2, *shape), "float32")
    assert plain(inputs).shape == model(inputs).shape == (2, 3)
    regularized = {v.name for v in model.trainable_variables if v.regularizer is not None}
    assert regularized == ({"kernel", "gamma", "beta"} if name == "wide_resnet" else set())
    assert head.kernel.regularizer is None


def test_settings_of_a_process_without_one(tensorflow):
    from tfphen.phenomena.sngp.networks import sngp_residual

    with pytest.raises(UsageError, match="gaussian_process"):
        sngp_residual((2,), 2, gaussian_process={"num_inducing": 4})
    with pytest.raises(UsageError, match="head"):
        sngp_residual((2,), 2, head="linear")
