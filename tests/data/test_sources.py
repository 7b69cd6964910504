"""Sources and `resolve`: one form for all data, independent streams, clear errors, no network."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import tfphen
from tfphen.core.errors import MissingData, UsageError
from tfphen.core.trial import Data, Spec
from tfphen.data import available, check, fetch, load, resolve
from tfphen.data.dataset import Dataset
from tfphen.data.sources import EMBEDDED, search_folders


@pytest.fixture(autouse=True)
def nothing_prepared(monkeypatch, tmp_path):
    """Neither the data of this machine nor the network can be reached."""
    monkeypatch.delenv("TFPHEN_DATA", raising=False)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "nothing"))

    def refuse(*args, **kwargs):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def seed(value):
    return lambda name: value


def same(a, b):
    parts = ("train_inputs", "train_labels", "test_inputs", "test_labels")
    return all(np.array_equal(getattr(a, part), getattr(b, part)) for part in parts)


@pytest.mark.parametrize("name", EMBEDDED)
def test_embedded_sources_have_one_form(name):
    data = load(name)
    assert data.train_inputs.dtype == np.float32 and data.train_labels.dtype == np.int32
    assert len(data.test_inputs) == len(data.test_labels) > 0
    assert set(data.train_labels) == set(range(data.num_classes)) and data.differs == ()
    assert data.name and data.description and check(name).kind == "embedded"
    with pytest.raises(ValueError, match="read-only"):
        data.train_inputs[0] = 0
    assert load(name) is data, "generated once a process"


def test_options_reach_the_source():
    assert load("mnist1d", {"num_samples": 100}).train_inputs.shape == (80, 40)
    assert load("digits", {"flatten": False}).train_inputs.shape == (1437, 8, 8, 1)


@pytest.mark.parametrize(
    "name, options, text",
    [
        ("mnist1d", {"num_sample": 10}, "Did you mean 'num_samples'.*Allowed: num_samples, train"),
        ("digits", {"width": 3}, "no setting 'width'.*Allowed: flatten"),
        ("gaussian_mixture", {"classes": "ten"}, "classes='ten'"),
    ],
)
def test_wrong_options(name, options, text):
    with pytest.raises(UsageError, match=text):
        load(name, options)


def test_a_missing_set_is_reported_at_once_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("TFPHEN_DATA", str(tmp_path / "second"))
    start = time.perf_counter()
    with pytest.raises(MissingData) as caught:
        resolve(Data("mnist"), seed(0), tmp_path / "first")
    assert time.perf_counter() - start < 1
    message = str(caught.value)
    assert "\n" not in message and "'mnist'" in message
    places = [message.index(str(tmp_path / place)) for place in ("first", "second", "nothing")]
    assert places == sorted(places)
    assert "tfphen data fetch mnist --data-dir DIR" in message
    assert "DIR/mnist/VERSION" in message and "Did you mean" not in message


def test_a_misspelt_name_gets_a_hint():
    with pytest.raises(MissingData, match="Did you mean 'digits'"):
        load("digit")
    with pytest.raises(MissingData, match="Did you mean 'mnist1d'"):
        load("mnist-1d".replace("-", "_"))
    with pytest.raises(UsageError, match=r"name='\.\./secrets'"):
        load("../secrets")


def test_available_lists_what_is_there_without_tensorflow(tmp_path):
    code = (
        "import sys, tfphen.data as data\n"
        "rows = data.available()\n"
        "data.load('mnist1d', {'num_samples': 100})\n"
        "try: data.load('cifar10')\n"
        "except Exception as error: assert 'cifar10' in str(error)\n"
        "heavy = {'tensorflow', 'keras', 'tensorflow_datasets', 'sklearn', 'pandas', 'scipy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "print(len(rows))"
    )
    root = str(Path(tfphen.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": root, "TFDS_DATA_DIR": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) == len(available())


def prepared_folder(base, name, version="1.0.0", content=b"x" * 26, num_bytes=10):
    folder = base / name / version
    folder.mkdir(parents=True)
    (folder / "features.json").write_text("{}")
    split = {"name": "train", "shardLengths": ["1"], "numBytes": str(num_bytes)}
    info = {"name": name, "fileFormat": "tfrecord", "splits": [split]}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    (folder / f"{name}-train.tfrecord-00000-of-00001").write_bytes(content)
    return folder


def test_search_order_and_versions(tmp_path, monkeypatch):
    assert search_folders("~")[0] == Path.home()
    own = prepared_folder(tmp_path / "nothing", "mnist")
    assert check("mnist").found == str(own)
    newest = prepared_folder(tmp_path / "second" / "tfds", "mnist", "10.0.0")
    prepared_folder(tmp_path / "second" / "tfds", "mnist", "9.0.0")
    monkeypatch.setenv("TFPHEN_DATA", str(tmp_path / "second"))
    assert check("mnist").found == str(newest)
    assert check("mnist:9.0.0").found == str(newest.parent / "9.0.0")
    first = prepared_folder(tmp_path / "first", "mnist")
    assert check("mnist", tmp_path / "first").found == str(first)
    rows = {row.name: row for row in available(tmp_path / "first")}
    assert rows["mnist"].found == str(first) and rows["cifar100"].found is None
    prepared_folder(tmp_path / "first" / "tfds", "flowers")
    prepared_folder(tmp_path / "first" / "tfds" / "emnist", "letters")
    names = [row.name for row in available(tmp_path / "first")]
    assert "flowers" in names and "emnist/letters" in names
    assert not any(name.startswith("tfds") for name in names)


def test_damaged_sets_are_named(tmp_path):
    folder = prepared_folder(tmp_path, "cut", content=b"x" * 25)
    with pytest.raises(MissingData, match="25 bytes instead of 26"):
        check("cut", tmp_path)
    next(folder.glob("*tfrecord*")).unlink()
    with pytest.raises(MissingData, match=r"cut-train\.tfrecord-00000-of-00001 is missing"):
        load("cut", data_dir=tmp_path)
    (folder / "dataset_info.json").write_text("{")
    with pytest.raises(MissingData, match="cannot be read"):
        load("cut", data_dir=tmp_path)
    folder = prepared_folder(tmp_path, "bare")
    (folder / "features.json").unlink()
    with pytest.raises(MissingData, match=r"features\.json is missing"):
        check("bare", tmp_path)


def test_fetch_of_what_is_there_does_nothing(tmp_path):
    folder = prepared_folder(tmp_path, "mnist")
    assert fetch("mnist", tmp_path).found == str(folder)
    assert fetch("digits").found == "built in"


def test_resolve_keeps_the_own_split():
    data, source = resolve(Data("digits"), seed(5)), load("digits")
    assert same(data, source) and not data.corrupted.any()
    np.testing.assert_array_equal(data.clean_labels, source.train_labels)
    np.testing.assert_array_equal(data.transition_matrix, np.eye(10))
    assert isinstance(data, Dataset) and data.name == "digits"


def test_a_seeded_split_is_stratified_and_a_partition():
    source = load("digits")
    first, again, other = (resolve(Data("digits", split="seeded"), seed(s)) for s in (0, 0, 1))
    assert same(first, again) and not same(first, other) and not same(first, source)
    assert len(first.train_labels) == 1437 and len(first.test_labels) == 360
    pooled = np.concatenate([first.train_inputs, first.test_inputs])
    assert len(np.unique(pooled, axis=0)) == 1797
    share = np.bincount(pooled_labels(first)) / 1797
    for labels in (first.train_labels, first.test_labels):
        assert (np.abs(np.bincount(labels) - share * len(labels)) <= 1).all()


def pooled_labels(data):
    return np.concatenate([data.train_labels, data.test_labels])


@pytest.mark.parametrize("split", ["own", "seeded"])
def test_subsets_are_nested_and_change_nothing_else(split):
    whole = resolve(Data("digits", split=split), seed(0))
    large = resolve(Data("digits", split=split, train=500), seed(0))
    small = resolve(Data("digits", split=split, train=100, test=50), seed(0))
    rows = [{row.tobytes() for row in data.train_inputs} for data in (whole, large, small)]
    assert rows[2] < rows[1] < rows[0] and len(rows[2]) == 100
    np.testing.assert_array_equal(large.test_inputs, whole.test_inputs)
    assert len(small.test_labels) == 50
    if split == "seeded":
        assert np.ptp(np.bincount(small.train_labels)) <= 1
    with pytest.raises(UsageError, match="from 1 to 1437"):
        resolve(Data("digits", split=split, train=1438), seed(0))
    with pytest.raises(UsageError, match="test=0"):
        resolve(Data("digits", split=split, test=0), seed(0))


def test_corruptions_touch_training_data_only_and_are_described():
    noise = Spec("label_noise", rate=0.4)
    clean = resolve(Data("digits"), seed(0))
    noisy = resolve(Data("digits", corruptions=(noise,)), seed(0))
    np.testing.assert_array_equal(noisy.train_inputs, clean.train_inputs)
    np.testing.assert_array_equal(noisy.test_inputs, clean.test_inputs)
    np.testing.assert_array_equal(noisy.test_labels, clean.test_labels)
    np.testing.assert_array_equal(noisy.clean_labels, clean.train_labels)
    np.testing.assert_array_equal(noisy.corrupted, noisy.train_labels != clean.train_labels)
    assert abs(noisy.corrupted.mean() - 0.4) < 0.06
    assert noisy.transition_matrix[0, 0] == pytest.approx(0.6)
    both = (Spec("long_tail", ratio=10, max_count=100), noise, Spec("shuffled_pixels", test=True))
    data = resolve(Data("digits", corruptions=both), seed(0))
    assert np.bincount(data.clean_labels)[[0, 9]].tolist() == [100, 10]
    assert not np.array_equal(data.test_inputs, clean.test_inputs)
    assert sorted(data.test_inputs[0]) == sorted(clean.test_inputs[0])


def test_streams_do_not_disturb_each_other():
    noise, shuffle = Spec("label_noise", rate=0.4), Spec("shuffled_pixels")
    alone = resolve(Data("digits", corruptions=(noise,)), seed(0))
    before = resolve(Data("digits", corruptions=(shuffle, noise)), seed(0))
    after = resolve(Data("digits", corruptions=(noise, shuffle)), seed(0))
    np.testing.assert_array_equal(alone.train_labels, before.train_labels)
    np.testing.assert_array_equal(after.train_labels, before.train_labels)
    np.testing.assert_array_equal(after.train_inputs, before.train_inputs)

    def only_noise(name):
        return 1 if name == "label_noise" else 0

    data = Data("digits", split="seeded", train=300, corruptions=(noise,))
    zero, one = resolve(data, seed(0)), resolve(data, only_noise)
    np.testing.assert_array_equal(zero.train_inputs, one.train_inputs)
    np.testing.assert_array_equal(zero.clean_labels, one.clean_labels)
    assert not np.array_equal(zero.train_labels, one.train_labels)


def test_the_same_corruption_twice_draws_twice():
    noise = Spec("label_noise", rate=0.5)
    once = resolve(Data("digits", corruptions=(noise,)), seed(0))
    twice = resolve(Data("digits", corruptions=(noise, noise)), seed(0))
    np.testing.assert_allclose(
        twice.transition_matrix, once.transition_matrix @ once.transition_matrix
    )
    # With one and the same stream, only labels that the first pass changed would change again.
    untouched = ~once.corrupted
    assert abs(twice.corrupted[untouched].mean() - 0.5) < 0.08


def test_a_data_set_is_checked():
    inputs, labels = np.zeros((3, 2)), np.array([0, 1, 2])
    with pytest.raises(ValueError, match="one label for each"):
        Dataset(inputs, labels[:2], inputs, labels, 3, "x")
    with pytest.raises(ValueError, match=r"\[0, 2\)"):
        Dataset(inputs, labels, inputs, labels, 2, "x")
    Dataset(inputs, labels, inputs, labels, 3, "x")
    inputs[0] = 1  # the caller's own array stays writable
