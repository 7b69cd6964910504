"""The reader of tfds texts, on tiny sets that are written here."""

import shutil
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from tfphen.core.errors import MissingData, UsageError
from tfphen.core.trial import Data, Spec, Trial
from tfphen.data import check, fetch, load, prepared, resolve
from tfphen.data.text_classification import words

# b three times; a, c, d and 10 twice; s once.
TRAIN = ("b a<br />A, b c! b", "C's d_D 10/10", "")
TEST = ("A new B", "d")
B, TEN, A, C, D, S = range(2, 8)


@pytest.fixture(scope="module")
def folder(tensorflow, tmp_path_factory):
    """A folder of prepared tiny sets, one of them under the name of the IMDB reviews."""
    folder = tmp_path_factory.mktemp("tfds")
    prepare_tiny_sets(folder)
    reviews = folder / "imdb_reviews" / "plain_text" / "1.0.0"
    shutil.copytree(folder / "tiny_reviews" / "1.0.0", reviews)
    for path in list(reviews.iterdir()):
        path.rename(reviews / path.name.replace("tiny", "imdb"))
    info = reviews / "dataset_info.json"
    info.write_text(info.read_text().replace("tiny_reviews", "imdb_reviews"))
    return folder


def prepare_tiny_sets(folder):
    """Defines the builders, which is what makes tfds know them. Here, so that it loads late."""
    import tensorflow_datasets as tfds

    class TinyWords(tfds.core.GeneratorBasedBuilder):
        """A few words."""

        VERSION = tfds.core.Version("1.0.0")
        examples: ClassVar = {
            "train": [(text, i % 2) for i, text in enumerate(TRAIN)],
            "test": [(text, i) for i, text in enumerate(TEST)],
        }
        given = tfds.features.Text()
        keys = ("text", "label")

        def _info(self):
            features = {"text": self.given, "label": tfds.features.ClassLabel(num_classes=2)}
            return self.dataset_info_from_configs(
                features=tfds.features.FeaturesDict(features),
                supervised_keys=self.keys,
                description="Words.\nMore about words.",
                disable_shuffling=True,
            )

        def _split_generators(self, dl_manager):
            return {split: self._generate_examples(split) for split in self.examples}

        def _generate_examples(self, split):
            for i, (text, label) in enumerate(self.examples[split]):
                yield i, {"text": text, "label": label}

    class TinyReviews(TinyWords):
        """Reviews whose words say what they think."""

        VERSION = tfds.core.Version("1.0.0")
        examples: ClassVar = {
            "train": [
                (f"film {i}: {('dreadful', 'great')[i % 2]} from start to end", i % 2)
                for i in range(40)
            ],
            "test": [(f"what a {('dreadful', 'great')[i % 2]} film!", i % 2) for i in range(10)],
        }

    class TinyWhole(TinyWords):
        """Nothing to test on."""

        VERSION = tfds.core.Version("1.0.0")
        examples: ClassVar = {"train": [("a", 0), ("b", 1)]}

    class TinyUnlabelled(TinyWords):
        """A test split whose labels nobody tells."""

        VERSION = tfds.core.Version("1.0.0")
        examples: ClassVar = {"train": [("a", 0), ("b", 1)], "test": [("a", -1)]}

    class TinyNumbers(TinyWords):
        """Inputs that are neither images nor texts."""

        VERSION = tfds.core.Version("1.0.0")
        given = tfds.features.Scalar(np.float32)
        examples: ClassVar = {"train": [(0.5, 0), (1.5, 1)], "test": [(2.5, 0)]}

    class TinyUnsupervised(TinyWords):
        """Texts that are not said to have a label."""

        VERSION = tfds.core.Version("1.0.0")
        keys = None

    class TinyForms(TinyWords):
        """A set in two forms."""

        VERSION = tfds.core.Version("1.0.0")
        BUILDER_CONFIGS: ClassVar = [
            tfds.core.BuilderConfig(name=name, version="1.0.0") for name in ("plain", "fancy")
        ]

    sets = (TinyWords, TinyReviews, TinyWhole, TinyUnlabelled, TinyNumbers, TinyUnsupervised)
    for one in sets:
        fetch(one.name, folder)


@pytest.fixture(autouse=True)
def no_other_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("TFPHEN_DATA", raising=False)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "nothing"))


def test_words():
    found = words("It DOESN'T work.<br />10/10<br>-<BR/>a_b")
    assert found == ["it", "doesn", "t", "work", "10", "10", "a", "b"]
    assert words("Été, über-cool № 7") == ["été", "über", "cool", "7"]
    assert words(" <br /> ... ") == []


def test_tokens_are_numbered_by_count_then_alphabet_and_padded_in_front(folder):
    data = load("tiny_words", {"length": 8}, folder)
    np.testing.assert_array_equal(
        data.train_inputs,
        [[0, 0, B, A, A, B, C, B], [0, 0, C, S, D, D, TEN, TEN], [0] * 8],
    )
    np.testing.assert_array_equal(data.test_inputs, [[0] * 5 + [A, 1, B], [0] * 7 + [D]])
    assert data.train_labels.tolist() == [0, 1, 0] and data.test_labels.tolist() == [0, 1]
    assert data.train_inputs.dtype == np.float32 and data.train_labels.dtype == np.int32
    assert (data.num_classes, data.name, data.description) == (2, "tiny_words", "Words.")
    assert not data.train_inputs.flags.writeable
    assert load("tiny_words", {"length": 8}, folder) is data, "read once a process"


def test_the_last_words_are_kept_and_rare_ones_are_unknown(folder):
    data = load("tiny_words", {"length": 4, "vocabulary_size": 6}, folder)
    # d and s are no longer among the six tokens.
    np.testing.assert_array_equal(data.train_inputs[0], [A, B, C, B])
    np.testing.assert_array_equal(data.train_inputs[1], [1, 1, TEN, TEN])
    np.testing.assert_array_equal(data.test_inputs[1], [0, 0, 0, 1])
    assert load("tiny_words", {"vocabulary_size": 3}, folder).train_inputs.max() == B


@pytest.mark.parametrize(
    "options, text",
    [
        ({"lenght": 5}, r"no setting 'lenght'.*Did you mean 'length'"),
        ({"length": 0}, "length=0"),
        ({"vocabulary_size": 2}, "vocabulary_size=2"),
        ({"flatten": True}, "no setting 'flatten'.*Allowed: vocabulary_size, length"),
    ],
    ids=str,
)
def test_wrong_options(folder, options, text):
    with pytest.raises(UsageError, match=text):
        load("tiny_words", options, folder)


@pytest.mark.parametrize(
    "name, text",
    [
        ("tiny_numbers", "neither one of images nor one of texts.*'text', 'label'"),
        ("tiny_unsupervised", "neither one of images nor one of texts.*supervised_keys=None"),
        ("tiny_whole", r"needs a train split and a test.*\['train'\]"),
        ("tiny_unlabelled", "label -1 in split 'test'"),
    ],
)
def test_sets_that_are_no_text_classification(folder, name, text):
    with pytest.raises(UsageError, match=text):
        load(name, data_dir=folder)


def test_damaged_files_are_named(folder, tmp_path):
    copy = shutil.copytree(folder / "tiny_words", tmp_path / "tiny_words") / "1.0.0"
    path = next(copy.glob("*train*tfrecord*"))
    whole = path.read_bytes()
    content = bytearray(whole)
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(MissingData, match=r"Split 'train' in .* is damaged"):
        load("tiny_words", data_dir=tmp_path)
    path.write_bytes(whole[:-1])
    with pytest.raises(MissingData, match=f"{len(whole) - 1} bytes instead of {len(whole)}"):
        load("tiny_words", data_dir=tmp_path)


def test_the_reviews_are_found_under_their_name_alone(folder, tfphen_command):
    reviews = folder / "imdb_reviews" / "plain_text" / "1.0.0"
    assert check("imdb_reviews", folder).found == str(reviews)
    assert check("imdb_reviews:1.0.0", folder) == check("imdb_reviews/plain_text", folder)._replace(
        name="imdb_reviews:1.0.0"
    )
    assert prepared.found_names([folder]).count("imdb_reviews") == 1
    assert "imdb_reviews/plain_text" not in prepared.found_names([folder])
    code, out, _ = tfphen_command("data", "check", "imdb_reviews", "--data-dir", folder)
    assert (code, out) == (0, f"imdb_reviews: OK ({reviews})\n")
    code, out, _ = tfphen_command("data", "list")
    assert code == 0 and "imdb_reviews" in out
    with pytest.raises(MissingData, match="DIR/imdb_reviews/plain_text/VERSION"):
        check("imdb_reviews")


def test_a_set_in_several_forms_is_fetched_by_the_name_of_one(folder):
    with pytest.raises(UsageError, match="name one of tiny_forms/plain, tiny_forms/fancy"):
        fetch("tiny_forms", folder)
    found = Path(fetch("tiny_forms/fancy", folder).found)
    assert found == folder / "tiny_forms" / "fancy" / "1.0.0"
    assert load("tiny_forms/fancy", data_dir=folder).name == "tiny_forms"


def test_most_negative_reviews_are_left_out(folder):
    fractions = Spec("class_fractions", fractions=(0.1, 1.0))
    data = Data("imdb_reviews", corruptions=(fractions,), options={"length": 6})
    resolved = resolve(data, lambda name: 0, folder)
    assert np.bincount(resolved.train_labels).tolist() == [2, 20]
    assert np.bincount(resolved.test_labels).tolist() == [5, 5]
    # The vocabulary stays that of the whole training split, as does what is kept of each text.
    whole = load("imdb_reviews", {"length": 6}, folder)
    rows = {row.tobytes() for row in whole.train_inputs}
    assert all(row.tobytes() in rows for row in resolved.train_inputs)


def test_an_lstm_learns_from_reviews(folder):
    import tensorflow as tf

    from tfphen.experiment import training
    from tfphen.experiment.phenomenon import Phenomenon
    from tfphen.measures.basic import error, loss

    class Reviews(Phenomenon):
        title = claim = paper = "a test"
        measures: ClassVar = (loss("train"), error("test"))

    members = [
        Trial(
            Spec("lstm", depth=1, width=4, vocabulary_size=30, embedding_width=4),
            Data("imdb_reviews", options={"vocabulary_size": 30, "length": 8}),
            optimizer=Spec("adam", learning_rate=0.05),
            batch_size=10,
            steps=60,
            seed=seed,
        )
        for seed in (0, 1)
    ]
    outcomes = training.train(
        Reviews(), members, lambda one: {}, tf.distribute.get_strategy(), data_dir=folder
    )
    assert all("XLA" in outcome.environment["execution"] for outcome in outcomes)
    assert all(outcome.values["train_loss"] < 0.1 for outcome in outcomes)
    assert all(outcome.values["test_error"] == 0 for outcome in outcomes)
