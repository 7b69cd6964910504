"""Sums over replicas, against what each replica holds."""

import numpy as np
import pytest

from tfphen.layers.replicas import number_of_replicas, of_first_replica, sum_over_replicas


@pytest.fixture
def two_replicas(two_devices, tensorflow):
    reduction = tensorflow.distribute.ReductionToOneDevice()
    return tensorflow.distribute.MirroredStrategy(two_devices, cross_device_ops=reduction)


@pytest.mark.parametrize(
    ("function", "expected"),
    [(sum_over_replicas, [30.0, 30.0]), (of_first_replica, [10.0, 10.0])],
)
def test_each_replica_gets_the_same(two_replicas, tensorflow, function, expected):
    values = two_replicas.experimental_distribute_values_from_function(
        lambda context: tensorflow.constant(10.0 * (1 + context.replica_id_in_sync_group))
    )
    run = tensorflow.function(lambda: two_replicas.run(function, (values,)))
    found = [float(value) for value in two_replicas.experimental_local_results(run())]
    assert found == expected


def test_another_replicas_nan_does_not_reach_the_first(two_replicas, tensorflow):
    values = two_replicas.experimental_distribute_values_from_function(
        lambda context: tensorflow.constant([2.0, np.nan][context.replica_id_in_sync_group])
    )
    run = tensorflow.function(lambda: two_replicas.run(of_first_replica, (values,)))
    found = [float(value) for value in two_replicas.experimental_local_results(run())]
    assert found == [2.0, 2.0]


def test_number_of_replicas(two_replicas, tensorflow):
    inside = []

    @tensorflow.function
    def run():
        two_replicas.run(lambda: inside.append(number_of_replicas()))

    run()
    assert inside == [2, 2]
    assert number_of_replicas() == 1


def test_one_device_keeps_the_value(tensorflow):
    value = tensorflow.constant([1.0, 2.0])
    assert sum_over_replicas(value) is value
    assert of_first_replica(value) is value
