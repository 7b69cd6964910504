"""Settings and fixtures for every test: few threads, two CPU devices, no display, local data."""

import os

# Read once, when TensorFlow, Keras and Matplotlib are imported: so before any of them is.
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["MPLBACKEND"] = "Agg"
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "2")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CPU_DEVICES = 2


def configure_tensorflow():
    """Imports TensorFlow, splits the CPU into two logical devices and returns the module.

    Devices are fixed from the first operation of the process on, so every test has the same two.
    A second call changes nothing.
    """
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration() for _ in range(CPU_DEVICES)]
    try:
        tf.config.set_logical_device_configuration(cpu, devices)
    except RuntimeError as error:
        raise pytest.UsageError(
            "TensorFlow ran an operation before the test devices were set up. Move module-level "
            "operations of the test modules into tests or fixtures."
        ) from error
    return tf


def pytest_collection_finish(session):
    """Sets the devices up between collection and the first test, if any test will need them."""
    if session.config.option.collectonly:
        return
    wanted = any("tensorflow" in getattr(item, "fixturenames", ()) for item in session.items)
    if wanted or "tensorflow" in sys.modules:
        configure_tensorflow()


@pytest.fixture(scope="session")
def tensorflow():
    """The TensorFlow module, with two logical CPU devices."""
    return configure_tensorflow()


@pytest.fixture
def two_devices(tensorflow):
    """The names of the two logical CPU devices, for a `tf.distribute` strategy."""
    return [device.name for device in tensorflow.config.list_logical_devices("CPU")]


@pytest.fixture(scope="session")
def data_dir():
    """The folder of prepared TensorFlow Datasets. Skips, and says why, where there is none."""
    named = os.environ.get("TFPHEN_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data" / "tfds"
    if not folder.is_dir():
        pytest.skip(
            f"no prepared data sets: {folder} is not a folder; set TFPHEN_DATA to the one that "
            "holds them"
        )
    return folder
