"""What the generic suite of the importable library shares: its rows, examples and strategy."""

import importlib.util
from pathlib import Path

import pytest

# Argument of a test, and the dictionary of rows that it runs over.
KINDS = {
    "layer": "LAYERS",
    "loss": "LOSSES",
    "metric": "METRICS",
    "metric_class": "METRIC_CLASSES",
    "optimizer": "OPTIMIZERS",
    "schedule": "SCHEDULES",
    "callback": "CALLBACKS",
    "function": "FUNCTIONS",
    "model": "MODELS",
}


def load_rows() -> dict[str, dict]:
    """Returns {kind: {name: row}} of every file in `rows`."""
    rows = {kind: {} for kind in KINDS}
    for path in sorted((Path(__file__).parent / "rows").glob("*.py")):
        spec = importlib.util.spec_from_file_location(f"library_rows_{path.stem}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for kind, variable in KINDS.items():
            found = getattr(module, variable, {})
            twice = rows[kind].keys() & found.keys()
            assert not twice, f"{path.name} repeats {sorted(twice)} of {variable}"
            rows[kind].update(found)
    return rows


ROWS = load_rows()


def pytest_generate_tests(metafunc):
    for kind in KINDS:
        if kind in metafunc.fixturenames:
            # Of the module: all tests of a row run one after the other, in one process.
            metafunc.parametrize(kind, list(ROWS[kind]), scope="module")


@pytest.fixture(scope="session")
def rows():
    """Every row: {kind: {name: row}}."""
    return ROWS


@pytest.fixture(scope="session")
def two_replicas(tensorflow):
    """One strategy for all tests: a process does not survive many with collectives of their own."""
    devices = [device.name for device in tensorflow.config.list_logical_devices("CPU")]
    reduction = tensorflow.distribute.ReductionToOneDevice()
    return tensorflow.distribute.MirroredStrategy(devices, cross_device_ops=reduction)


@pytest.fixture
def mixed_bfloat16():
    """Sets the policy for what is made in the test."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy(before)
