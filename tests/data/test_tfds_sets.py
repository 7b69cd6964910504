"""The tfds reader, on tiny sets that are written here."""

import io
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfphen.core.errors import MissingData, UsageError
from tfphen.core.trial import Data, Spec
from tfphen.data import check, fetch, load, resolve

IMAGES = np.random.default_rng(0).integers(0, 256, (30, 8, 6, 3)).astype(np.uint8)
URL = "http://localhost:9/tiny.bin"  # the discard port, where nothing listens


@pytest.fixture(scope="module")
def folder(tensorflow, tmp_path_factory):
    """An empty folder for prepared sets; tfds knows the tiny sets by now."""
    register_tiny_sets()
    return tmp_path_factory.mktemp("tfds")


def register_tiny_sets():
    """Defines the builders, which is what makes tfds know them. Here, so that it loads late."""
    import tensorflow_datasets as tfds

    url_info = tfds.core.download.checksums.UrlInfo

    class TinyImages(tfds.core.GeneratorBasedBuilder):
        """Thirty images of noise, twenty to train on."""

        VERSION = tfds.core.Version("1.0.0")
        height = 8
        splits = ("train", "test")

        def _info(self):
            image = tfds.features.Image(shape=(self.height, 6, 3))
            features = {"image": image, "label": tfds.features.ClassLabel(num_classes=3)}
            return self.dataset_info_from_configs(
                features=tfds.features.FeaturesDict(features),
                supervised_keys=("image", "label"),
                description="Noise.\nMore about noise.",
                disable_shuffling=True,
            )

        def _split_generators(self, dl_manager):
            bounds = (slice(0, 20), slice(20, 30))
            return {
                split: self._generate_examples(where)
                for split, where in zip(self.splits, bounds, strict=True)
            }

        def _generate_examples(self, where):
            for i in range(*where.indices(30)):
                yield i, {"image": self.image(i), "label": i % 3}

        def image(self, i):
            return IMAGES[i]

    class TinyJpegs(TinyImages):
        """The same features, but the files hold JPEG."""

        VERSION = tfds.core.Version("1.0.0")
        splits = ("train", "validation")

        def image(self, i):
            buffer = io.BytesIO()
            Image.fromarray(IMAGES[i]).save(buffer, format="jpeg")
            buffer.seek(0)
            return buffer

    class TinyUneven(TinyImages):
        """Images that may differ in size."""

        VERSION = tfds.core.Version("1.0.0")
        height = None

    class TinyRemote(TinyImages):
        """A set with a file to download."""

        VERSION = tfds.core.Version("1.0.0")
        url_infos = {URL: url_info(size=4, checksum="0" * 64, filename="tiny.bin")}  # noqa: RUF012

        def _split_generators(self, dl_manager):
            dl_manager.download(URL)
            return super()._split_generators(dl_manager)

    class TinyManual(TinyImages):
        """A set that must be placed by hand."""

        VERSION = tfds.core.Version("1.0.0")
        MANUAL_DOWNLOAD_INSTRUCTIONS = "Ask the authors."


@pytest.fixture(autouse=True)
def no_other_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("TFPHEN_DATA", raising=False)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "nothing"))


def test_fetch_then_load(folder):
    with pytest.raises(MissingData):
        load("tiny_images", data_dir=folder)
    source = fetch("tiny_images", folder)
    assert source == check("tiny_images", folder) and source.found.endswith("tiny_images/1.0.0")
    data = load("tiny_images", data_dir=folder)
    np.testing.assert_allclose(data.train_inputs, IMAGES[:20] / 255, atol=1e-7)
    np.testing.assert_allclose(data.test_inputs, IMAGES[20:] / 255, atol=1e-7)
    np.testing.assert_array_equal(data.train_labels, np.arange(20) % 3)
    assert data.train_inputs.dtype == np.float32 and data.train_labels.dtype == np.int32
    assert (data.num_classes, data.name, data.differs) == (3, "tiny_images", ())
    assert data.description == "Noise."
    assert not data.train_inputs.flags.writeable
    assert load("tiny_images", data_dir=folder) is data, "read once a process"


def test_options_and_resolve(folder):
    fetch("tiny_images", folder)
    flat = load("tiny_images", {"flatten": True}, folder)
    np.testing.assert_allclose(flat.train_inputs, IMAGES[:20].reshape(20, -1) / 255, atol=1e-7)
    assert not flat.train_inputs.flags.writeable
    data = Data("tiny_images", train=9, split="seeded", corruptions=(Spec("random_labels"),))
    resolved = resolve(data, lambda name: 0, folder)
    assert resolved.train_inputs.shape == (9, 8, 6, 3)
    assert np.bincount(resolved.clean_labels).tolist() == [3, 3, 3]
    with pytest.raises(UsageError, match=r"no setting 'flaten'.*Did you mean 'flatten'"):
        load("tiny_images", {"flaten": True}, folder)
    with pytest.raises(UsageError, match="flatten=1"):
        load("tiny_images", {"flatten": 1}, folder)


def test_pixels_are_standardised_channel_by_channel(folder):
    fetch("tiny_images", folder)
    mean, deviation = np.array((0.5, 0.25, 0.1)), np.array((0.2, 0.5, 4.0))
    options = {"mean": mean.tolist(), "deviation": tuple(deviation)}
    data = load("tiny_images", options, folder)
    expected = (IMAGES / 255 - mean) / deviation
    np.testing.assert_allclose(data.train_inputs, expected[:20], atol=1e-5)
    np.testing.assert_allclose(data.test_inputs, expected[20:], atol=1e-5)
    assert data.train_inputs.dtype == np.float32
    assert load("tiny_images", options, folder) is data, "read once a process"
    flat = load("tiny_images", {"flatten": True, **options}, folder)
    np.testing.assert_array_equal(flat.test_inputs, data.test_inputs.reshape(10, -1))
    centered = load("tiny_images", {"mean": mean.tolist()}, folder)
    np.testing.assert_allclose(centered.train_inputs, IMAGES[:20] / 255 - mean, atol=1e-6)
    spread = load("tiny_images", {"deviation": deviation.tolist()}, folder)
    np.testing.assert_allclose(spread.train_inputs, IMAGES[:20] / 255 / deviation, atol=1e-5)


@pytest.mark.parametrize(
    "options, text",
    [
        ({"mean": (0.5,)}, r"`mean` needs one number for each of the 3 channels.*mean=\(0.5,\)"),
        ({"deviation": ()}, "`deviation` needs one number"),
        ({"mean": 0.5}, "one number a channel. Received: mean=0.5"),
        ({"mean": (0.5, "half", 0.5)}, "mean='half'"),
        ({"deviation": (0.5, 0.0, 0.5)}, r"above 0. Received: deviation=\(0.5, 0.0, 0.5\)"),
        ({"deviation": (0.5, -1, 0.5)}, "above 0"),
    ],
    ids=str,
)
def test_wrong_standardisation(folder, options, text):
    fetch("tiny_images", folder)
    with pytest.raises(UsageError, match=text):
        load("tiny_images", options, folder)


def test_jpeg_files_where_none_are_declared_are_a_difference(folder):
    fetch("tiny_jpegs", folder)
    data = load("tiny_jpegs", data_dir=folder)
    assert data.name == "tiny_jpegs (jpeg)"
    assert data.differs == ("images re-encoded as JPEG",)
    assert data.description == "Noise. Tested on its validation."
    # The accurate transform, to the bit what Pillow gives.
    buffer = io.BytesIO()
    Image.fromarray(IMAGES[3]).save(buffer, format="jpeg")
    expected = np.asarray(Image.open(buffer)) / np.float32(255)
    np.testing.assert_array_equal(data.train_inputs[3], expected)
    assert resolve(Data("tiny_jpegs"), lambda name: 0, folder).differs == data.differs


def test_images_of_differing_size_are_refused(folder):
    fetch("tiny_uneven", folder)
    with pytest.raises(UsageError, match="differ in size"):
        load("tiny_uneven", data_dir=folder)


def test_a_damaged_file_is_named(folder, tmp_path):
    source = Path(fetch("tiny_images", folder).found)
    copy = shutil.copytree(source, tmp_path / "tiny_images" / "1.0.0")
    path = next(copy.glob("*test*tfrecord*"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(MissingData, match=r"Split 'test' in .* is damaged"):
        load("tiny_images", data_dir=tmp_path)


def test_fetch_without_a_network_names_the_files_soon(folder, monkeypatch):
    monkeypatch.setenv("no_proxy", "localhost")
    start = time.perf_counter()
    with pytest.raises(MissingData) as caught:
        fetch("tiny_remote", folder)
    assert time.perf_counter() - start < 30
    message = str(caught.value)
    assert "tiny.bin (sha256 000" in message and str(folder / "manual" / "tiny_remote") in message
    manual = folder / "manual" / "tiny_remote"
    manual.mkdir(parents=True)
    (manual / "tiny.bin").write_bytes(b"data")
    with pytest.raises(MissingData, match="not the published one"):
        fetch("tiny_remote", folder)


def test_fetch_of_unknown_and_manual_sets(folder):
    with pytest.raises(UsageError, match="Did you mean 'fashion_mnist'"):
        fetch("fashion_mnst", folder)
    with pytest.raises(UsageError, match=r"cannot build 'tiny_images:7\.0\.0'"):
        fetch("tiny_images:7.0.0", folder)
    with pytest.raises(MissingData, match="Ask the authors"):
        fetch("tiny_manual", folder)
