"""Gradients and Hessian-vector products on every backend.

Everything else in this package is `keras.ops` or NumPy. Keras has no function for a gradient, let
alone for a second one, so each backend's own automatic differentiation is called here, and only
here: two small functions for each of TensorFlow, JAX and PyTorch, imported when they are used.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from tfphen.core.types import Array, Tensor, TensorLike
from tfphen.metrics.probabilities import host_array


def compiled_gradient(function: Callable[..., Any]) -> Callable[..., list[Array]]:
    """Compiles the gradient of a function that `keras.ops` express.

    Args:
        function: Takes a float tensor, then any further tensors or lists of them; returns a scalar
            and one more tensor, which comes back as it is.

    Returns:
        A function of the same arguments that returns the gradient in the first and the additional
        tensor, as NumPy arrays. Arguments of equal shapes are compiled once.

    Raises:
        ValueError: A Keras backend without automatic differentiation.
    """
    return _of_backend(_GRADIENTS)(function, keras.ops.convert_to_tensor)


def compiled_hessian_products(function: Callable[..., Any]) -> Callable[..., Array]:
    """Compiles products of a function's Hessian with vectors.

    Args:
        function: Takes a float tensor, then any further tensors or lists of them; returns a scalar.

    Returns:
        A function of the point, a stack of vectors `[count, *point.shape]` and the further
        arguments. It returns the products, a NumPy array of the shape of the stack.

    Raises:
        ValueError: A Keras backend without automatic differentiation.
    """
    return _of_backend(_HESSIAN_PRODUCTS)(function, keras.ops.convert_to_tensor)


def input_gradient(function: Callable[..., Any], inputs: TensorLike) -> Array:
    """Gradient of a function in its input, on the current Keras backend.

    Args:
        function: Takes a float tensor of the shape of `inputs`, returns a scalar, or a tensor whose
            sum is meant, such as one loss per example.
        inputs: Where the gradient is taken, floats of any shape.

    Returns:
        The gradient, a NumPy array of the shape of `inputs`; zeros where the function does not
        depend on them.

    Raises:
        ValueError: A Keras backend without automatic differentiation.

    Example:

    >>> from keras import ops
    >>> input_gradient(lambda x: ops.sum(x**3, axis=-1), [[1.0, 2.0]]).tolist()
    [[3.0, 12.0]]

    When not to use:
        Inside a training step or a compiled function: the result is a NumPy array, without a
        gradient of its own. Use the backend's own differentiation there.

    Reference:
        I. Goodfellow, J. Shlens, C. Szegedy, "Explaining and Harnessing Adversarial Examples",
        ICLR 2015, arXiv 1412.6572, for a use of it.
    """

    def total(point: Tensor) -> tuple[Tensor, Tensor]:
        value = ops.sum(function(point))
        return value, value

    return compiled_gradient(total)(_floats(inputs, "inputs"))[0]


def hessian_vector_product(
    function: Callable[..., Any], point: TensorLike, vectors: TensorLike
) -> Array:
    """Products of the Hessian of a scalar function with vectors, on the current Keras backend.

    No Hessian is built: TensorFlow and PyTorch differentiate the gradient backwards, JAX forwards.

    Args:
        function: Takes a float tensor of the shape of `point` and returns a scalar.
        point: Where the Hessian is taken, floats of any shape.
        vectors: One vector of the shape of `point`, or a stack `[count, *point.shape]`.

    Returns:
        H v for each vector, a NumPy array of the shape of `vectors`.

    Raises:
        ValueError: Vectors of another shape; a Keras backend without automatic differentiation.

    Example:

    >>> from keras import ops
    >>> hessian_vector_product(lambda x: ops.sum(x**3), [1.0, 2.0], [1.0, 1.0]).tolist()
    [6.0, 12.0]

    When not to use:
        For the last layer under softmax cross-entropy, where `hessian_trace`,
        `hessian_max_eigenvalue` and `relative_flatness` are closed forms. For functions with kinks,
        such as ReLU networks in their inputs, whose second derivative is zero almost everywhere.

    Reference:
        B. Pearlmutter, "Fast Exact Multiplication by the Hessian", Neural Computation 6, 1994.
    """
    point, vectors = _floats(point, "point"), _floats(vectors, "vectors")
    single = vectors.shape == point.shape
    if not single and vectors.shape[1:] != point.shape:
        raise ValueError(
            f"`vectors` must have the shape of `point`, {point.shape}, or one axis more in front. "
            f"Received: vectors.shape={vectors.shape}"
        )
    products = compiled_hessian_products(function)(point, vectors[None] if single else vectors)
    return products[0] if single else products


def _floats(value: TensorLike, name: str) -> Array:
    """Returns float64 where the value is an array of it, else float32."""
    array = host_array(value, name)
    double = hasattr(value, "dtype") and array.dtype == "float64"
    return array if double else array.astype("float32")


def _of_backend(table: dict[str, Callable[..., Any]]) -> Callable[..., Any]:
    backend = keras.config.backend()
    if backend not in table:
        raise ValueError(
            "Automatic differentiation needs the Keras backend to be one of "
            f"{', '.join(table)}; set KERAS_BACKEND before Keras is imported. "
            f"Received: keras.config.backend()={backend!r}"
        )
    return table[backend]


def _tensorflow_program(function: Callable[..., Any]) -> Callable[..., Any]:
    import tensorflow as tf

    # The functions are `keras.ops` throughout: there is no Python control flow to convert.
    program = tf.function(function, autograph=False)
    # Every call of a measure has a program of its own. TensorFlow tells functions apart by name,
    # takes these for one that is traced again and again, and warns.
    program._omit_frequent_tracing_warning = True
    return program


def _tensorflow_gradient(
    function: Callable[..., Any], to_tensor: Callable[[Any], Tensor]
) -> Callable[..., list[Array]]:
    import tensorflow as tf

    zero = tf.UnconnectedGradients.ZERO

    def run(point: Tensor, *data: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(point)
            value, extra = function(point, *data)
        return tape.gradient(value, point, unconnected_gradients=zero), extra

    program = _tensorflow_program(run)
    return lambda point, *data: [v.numpy() for v in program(to_tensor(point), *data)]


def _tensorflow_hessian_products(
    function: Callable[..., Any], to_tensor: Callable[[Any], Tensor]
) -> Callable[..., Array]:
    import tensorflow as tf

    zero = tf.UnconnectedGradients.ZERO

    def run(point: Tensor, vectors: Tensor, *data: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as outer:
            outer.watch(point)
            with tf.GradientTape(watch_accessed_variables=False) as inner:
                inner.watch(point)
                value = function(point, *data)
            gradient = inner.gradient(value, point, unconnected_gradients=zero)

        def product(vector: Tensor) -> Tensor:
            return outer.gradient(
                gradient, point, output_gradients=vector, unconnected_gradients=zero
            )

        # The first pass and the gradient are computed once; only what follows runs for each vector.
        return tf.map_fn(product, vectors)

    program = _tensorflow_program(run)
    return lambda point, vectors, *data: program(
        to_tensor(point), to_tensor(vectors), *data
    ).numpy()


def _jax_gradient(
    function: Callable[..., Any], to_tensor: Callable[[Any], Tensor]
) -> Callable[..., list[Array]]:
    import jax

    program = jax.jit(jax.grad(function, has_aux=True))
    return lambda point, *data: [np.asarray(v) for v in program(to_tensor(point), *data)]


def _jax_hessian_products(
    function: Callable[..., Any], to_tensor: Callable[[Any], Tensor]
) -> Callable[..., Array]:
    import jax

    def run(point: Tensor, vectors: Tensor, *data: Any) -> Any:
        gradient = jax.grad(lambda value: function(value, *data))
        return jax.vmap(lambda vector: jax.jvp(gradient, (point,), (vector,))[1])(vectors)

    program = jax.jit(run)
    return lambda point, vectors, *data: np.asarray(
        program(to_tensor(point), to_tensor(vectors), *data)
    )


def _torch_gradient(
    function: Callable[..., Any], to_tensor: Callable[[Any], Tensor]
) -> Callable[..., list[Array]]:
    import torch

    def run(point: Tensor, *data: Any) -> Any:
        with torch.enable_grad():
            point = to_tensor(point).detach().requires_grad_()
            value, extra = function(point, *data)
            if not value.requires_grad:
                return torch.zeros_like(point), extra
            (gradient,) = torch.autograd.grad(value, point, allow_unused=True)
        return torch.zeros_like(point) if gradient is None else gradient, extra

    return lambda point, *data: [v.detach().cpu().numpy() for v in run(point, *data)]


def _torch_hessian_products(
    function: Callable[..., Any], to_tensor: Callable[[Any], Tensor]
) -> Callable[..., Array]:
    import torch

    def run(point: Tensor, vectors: Tensor, *data: Any) -> Any:
        with torch.enable_grad():
            point = to_tensor(point).detach().requires_grad_()
            value = function(point, *data)
            gradient = None
            if value.requires_grad:
                (gradient,) = torch.autograd.grad(
                    value, point, create_graph=True, allow_unused=True
                )
            vectors = to_tensor(vectors)
            # A function that is linear in the point, or constant, has no second derivative.
            if gradient is None or not gradient.requires_grad:
                return torch.zeros_like(vectors)
            # The graph is kept by the call itself for as long as it runs, then freed.
            (products,) = torch.autograd.grad(
                gradient, point, grad_outputs=vectors, is_grads_batched=True, allow_unused=True
            )
        return torch.zeros_like(vectors) if products is None else products

    return lambda point, vectors, *data: run(point, vectors, *data).detach().cpu().numpy()


_GRADIENTS = {
    "tensorflow": _tensorflow_gradient,
    "jax": _jax_gradient,
    "torch": _torch_gradient,
}
_HESSIAN_PRODUCTS = {
    "tensorflow": _tensorflow_hessian_products,
    "jax": _jax_hessian_products,
    "torch": _torch_hessian_products,
}
