"""AUCs and accuracies on test examples with shuffled blocks."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from tfphen.core.seeds import stream
from tfphen.phenomena.simplicity_bias import collages, slabs
from tfphen.phenomena.simplicity_bias.auc import auc

if TYPE_CHECKING:
    from tfphen.measures.trained import Trained


def _shuffled(trained: "Trained", groups_of: Callable) -> Iterator[np.ndarray]:
    """Yields variants of the test inputs of all members with shuffled columns.

    Args:
        trained: The population.
        groups_of: From the columns of each block to a list of variants. A variant is a list of
            groups of columns; each group is shuffled by one permutation.
    """
    inputs = trained.inputs("test")
    kinds = {"slabs": slabs.slab_blocks, "collages": collages.collage_blocks}
    blocks_of = [kinds[trial.data.name](**trial.data.options) for trial in trained.trials]
    for variant in range(len(groups_of(blocks_of[0].columns))):
        shuffled = np.array(inputs)
        for member, (trial, blocks) in enumerate(zip(trained.trials, blocks_of, strict=True)):
            # The same for all networks of an ensemble, whose logits are averaged.
            generator = stream(trial.data.options["generator_seed"], "shuffled_block", variant)
            for columns in groups_of(blocks.columns)[variant]:
                order = generator.permutation(inputs.shape[1])
                shuffled[member] = slabs.randomize_block(
                    shuffled[member], columns, order, blocks.rotation
                )
        yield shuffled


def test_scores(trained: "Trained") -> np.ndarray:
    """Returns differences of the two logits, `[members, 3, n]`, in the order of `SCORES`."""

    def groups(columns):
        return [], [columns[0]], [np.concatenate(columns[1:])] if len(columns) > 1 else []

    logits = [trained.apply(inputs) for inputs in _shuffled(trained, groups)]
    return np.stack([one[..., 1] - one[..., 0] for one in logits], axis=1)


def test_labels(trained: "Trained") -> np.ndarray:
    """Returns the test labels, uint8, `[members, n]`."""
    return trained.labels("test").astype("uint8")


def aucs(trained: "Trained") -> np.ndarray:
    """Returns the AUC of each of `SCORES`, `[members, 3]`."""
    pairs = zip(trained.labels("test"), trained.once(test_scores), strict=True)
    return np.asarray([[auc(labels, one) for one in scores] for labels, scores in pairs])


def accuracies(trained: "Trained") -> np.ndarray:
    """Returns the accuracy of each of `SCORES`, `[members, 3]`."""
    return ((trained.once(test_scores) > 0) == trained.labels("test")[:, None]).mean(-1)


def block_accuracies(trained: "Trained") -> np.ndarray:
    """Returns accuracies where one block is predictive, `[members, models, blocks]`."""

    def groups(columns):
        return [[*columns[:place], *columns[place + 1 :]] for place in range(len(columns))]

    labels = trained.labels("test")[..., None] == 1
    outputs = [trained.apply(inputs) > 0 for inputs in _shuffled(trained, groups)]
    return np.stack([(one == labels).mean(1) for one in outputs], axis=-1)


def train_accuracies(trained: "Trained") -> np.ndarray:
    """Returns the training accuracy of each network of a set, `[members, models]`."""
    return ((trained.logits("train") > 0) == (trained.labels("train")[..., None] == 1)).mean(1)
