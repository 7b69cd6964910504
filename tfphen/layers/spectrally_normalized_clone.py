"""Copy of a model with spectral normalization of its dense and convolutional layers."""

import keras

from tfphen.layers.spectral_normalization import SpectralNormalization

WRAPPED_LAYERS = (
    keras.layers.Dense,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
)


def spectrally_normalized_clone(
    backbone: keras.Model, norm_multiplier: float = 0.95, power_iterations: int = 1
) -> keras.Model:
    """Returns a copy of a model, weights included, with bounded dense and convolution layers.

    Each trainable `Dense`, `Conv1D`, `Conv2D` and `Conv3D` layer, at any depth, is wrapped in a
    `SpectralNormalization`, its kernel divided where it was above the bound. Frozen layers stay as
    they are.

    Args:
        backbone: A functional or Sequential model.
        norm_multiplier: The bound of each layer's norm; None wraps none.
        power_iterations: Number of them per training step.

    Returns:
        A separate model with the same layer names.

    Example:

    >>> backbone = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, name="hidden")])
    >>> type(spectrally_normalized_clone(backbone).get_layer("hidden")).__name__
    'SpectralNormalization'

    When not to use:
        For subclassed models: wrap their layers where they are made.

    Reference:
        J. Liu et al., "Simple and Principled Uncertainty Estimation with Deterministic Deep
        Learning via Distance Awareness", NeurIPS 2020, arXiv 2006.10108, section 3.2.
    """
    pairs, wrappers = [], []

    def bounded(layer: keras.Layer) -> keras.Layer:
        # An operation without weights, such as a sum by `keras.ops`, serves the copy too.
        if not isinstance(layer, keras.Layer):
            return layer
        made = type(layer).from_config(layer.get_config())
        pairs.append((layer, made))
        wanted = norm_multiplier is not None and layer.trainable
        if not (wanted and type(layer) in WRAPPED_LAYERS):
            return made
        wrappers.append(
            SpectralNormalization(
                made, norm_multiplier, power_iterations=power_iterations, name=layer.name
            )
        )
        return wrappers[-1]

    clone = keras.models.clone_model(backbone, clone_function=bounded, recursive=True)
    for layer, made in pairs:
        made.set_weights(layer.get_weights())
    for wrapper in wrappers:
        wrapper.normalize()
    return clone
