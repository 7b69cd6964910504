"""Sums over the replicas of a `tf.distribute` strategy: the library's only tie to one backend.

A statistic that a layer gathers in its call is one share on each replica, and a variable of the
layer is a copy on each. Summing the share before it is assigned makes the copies equal, and equal
to what one device gathers. Elsewhere nothing needs to be done: under JAX's sharding an array is
whole already, and PyTorch's replicas are processes that Keras does not know."""

from typing import Any

import keras

from tfphen.core.types import Tensor


def _replica_context() -> Any:
    """The context of a call on one of several TensorFlow replicas, or None."""
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    if not tf.distribute.in_cross_replica_context():
        context = tf.distribute.get_replica_context()
        if context.num_replicas_in_sync > 1:
            return context
    return None


def number_of_replicas() -> int:
    """Returns how many replicas run the present call, 1 outside of one."""
    context = _replica_context()
    return 1 if context is None else context.num_replicas_in_sync


def sum_over_replicas(value: Tensor) -> Tensor:
    """Returns the sum of a tensor over the replicas that run the present call.

    Args:
        value: A float tensor of the same shape on each replica.

    Returns:
        The sum, the same on each replica; `value` itself where there is one replica.
    """
    context = _replica_context()
    if context is None:
        return value
    import tensorflow as tf

    return context.all_reduce(tf.distribute.ReduceOp.SUM, value)


def of_first_replica(value: Tensor) -> Tensor:
    """Returns the first replica's tensor, on each replica."""
    context = _replica_context()
    if context is None:
        return value
    import tensorflow as tf

    # Not a product with 0 or 1: another replica's NaN would survive it.
    first = tf.equal(context.replica_id_in_sync_group, 0)
    return sum_over_replicas(tf.where(first, value, tf.zeros_like(value)))
