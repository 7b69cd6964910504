"""Collages: images of several datasets side by side, each of which determines the class.

Every block of a collage shows one of two classes of its own dataset. In training all of them agree
with the label; a test set where only one block does reveals whether a model has learned it.
"""

import functools
import inspect
from collections.abc import Sequence

import numpy as np

from tfphen.core import checks
from tfphen.core.errors import UsageError
from tfphen.core.seeds import stream
from tfphen.data import sources as data_sources
from tfphen.data.dataset import Dataset
from tfphen.phenomena.simplicity_bias.slabs import Blocks

# Side of a block, before subsampling.
SIDE = 32
# Classes for labels 0 and 1 in the published collages, label ids of tfds.
PUBLISHED_CLASSES = {
    "mnist": (0, 1),
    "cifar10": (1, 9),
    "fashion_mnist": (2, 4),
    "svhn_cropped": (0, 1),
}
# Number of training images of a dataset in the published collages; by default all.
_FIRST = {"mnist": 50_000}
ORDERS = ("ordered", "shuffled")


def collages(
    *,
    sources: Sequence[str] = ("mnist", "fashion_mnist"),
    classes: Sequence[Sequence[int]] | None = None,
    predictive: int | None = None,
    order: str = "ordered",
    stride: int = 4,
    flatten: bool = True,
    train: int = 51_200,
    test: int = 10_240,
    generator_seed: int = 0,
    data_dir: str | None = None,
) -> Dataset:
    """Makes collages of blocks of 32 by 32 gray pixels, two blocks to a column, then subsamples.

    Gray is the mean over channels, rounded to 8 bits. Images of 28 pixels get a border of 2 zeros,
    smaller ones are first upsampled by an integer factor. Training collages are made of training
    images, test collages of test images. Each set is balanced. Images are drawn
    without replacement if a class has enough of them, else with replacement.

    Args:
        sources: Datasets of the blocks: down the left column, then down the next. An even number.
        classes: For each block, the two classes of its dataset for labels 0 and 1. None takes
            `PUBLISHED_CLASSES`.
        predictive: Position of the only block that follows the label, in training and test set;
            each other block follows a random class. None for all blocks.
        order: `"ordered"`, or `"shuffled"`: a random order of blocks in each collage.
        stride: Subsampling stride of rows and columns, from the first one; divides 32.
        flatten: True gives inputs `(n, pixels)`, False images `(n, height, width, 1)`.
        train: Training collages, an even number.
        test: Test collages, an even number.
        generator_seed: Seed of the data.
        data_dir: Directory to search first for tfds datasets. Not a setting.

    Raises:
        UsageError: A setting is out of its range, or a dataset lacks such images or classes.
        MissingData: A tfds dataset that is not on this machine.

    Example:

    >>> data = collages(sources=("digits", "digits"), classes=((0, 1), (3, 8)), train=20, test=10)
    >>> data.train_inputs.shape, int(data.train_labels.sum())
    ((20, 128), 10)

    When not to use:
        As a set of independent test images: with few images of a class, as of digits, one image is
        part of many collages. Test sets with another `predictive` share their images.

    Reference:
        D. Teney, E. Abbasnejad, S. Lucey, A. van den Hengel, "Evading the Simplicity Bias: Training
        a Diverse Set of Models Discovers Solutions with Superior OOD Generalization", CVPR 2022,
        arXiv 2105.05612, and dteney/collages-dataset.
    """
    pairs = _classes(sources, classes)
    if predictive is not None:
        checks.whole("predictive", predictive, 0, len(sources) - 1)
    checks.one_of("order", order, ORDERS)
    if SIDE % checks.whole("stride", stride, 1):
        raise UsageError(f"`stride` divides {SIDE}. Received: stride={stride!r}")
    checks.boolean("flatten", flatten)
    for name, size in (("train", train), ("test", test)):
        if checks.whole(name, size, 2) % 2:
            raise UsageError(f"`{name}` must be even. Received: {name}={size!r}")
    checks.whole("generator_seed", generator_seed, 0)

    def draw(size: int, part: int) -> tuple[np.ndarray, np.ndarray]:
        generator = stream(generator_seed, "collages", part)
        labels = generator.permutation(np.repeat([0, 1], size // 2))
        parts = []
        for place, (source, pair) in enumerate(zip(sources, pairs, strict=True)):
            follows = predictive in (None, place)
            shown = labels if follows else generator.permutation(labels)
            images = np.empty((size, SIDE // stride, SIDE // stride), "float32")
            for label, pool in enumerate(image_pools(source, pair, stride, data_dir)[part]):
                rows = np.flatnonzero(shown == label)
                images[rows] = pool[
                    generator.choice(len(pool), len(rows), replace=len(rows) > len(pool))
                ]
            parts.append(images)
        stacked = np.stack(parts, axis=1)
        if order == "shuffled":
            places = generator.permuted(np.tile(np.arange(len(parts)), (size, 1)), axis=1)
            stacked = np.take_along_axis(stacked, places[:, :, None, None], axis=1)
        tiled = tile(stacked)
        return tiled.reshape(size, -1) if flatten else tiled[..., None], labels

    return Dataset(
        *draw(train, 0),
        *draw(test, 1),
        num_classes=2,
        name="collages",
        description=f"collages of {', '.join(sources)}, generator seed {generator_seed}",
    )


def collage_blocks(**settings) -> Blocks:
    """Returns the columns of each block in flattened `collages` with these settings.

    Args:
        **settings: Those of `collages`.

    Raises:
        UsageError: The blocks are shuffled, so their columns are not fixed.

    Example:

    >>> found = collage_blocks(sources=("digits",) * 4, stride=16)
    >>> [columns.tolist() for columns in found.columns]
    [[0, 1, 4, 5], [8, 9, 12, 13], [2, 3, 6, 7], [10, 11, 14, 15]]
    """
    bound = inspect.signature(collages).bind(**settings)
    bound.apply_defaults()
    if bound.arguments["order"] != "ordered":
        raise UsageError('Blocks have columns where `order` is "ordered". Received: "shuffled"')
    count, side = len(bound.arguments["sources"]), SIDE // bound.arguments["stride"]
    numbers = np.broadcast_to(np.arange(count)[:, None, None], (count, side, side))
    block_of = tile(numbers[None])[0].reshape(-1)
    return Blocks(tuple(np.flatnonzero(block_of == place) for place in range(count)))


def tile(blocks: np.ndarray) -> np.ndarray:
    """Tiles square blocks into images, two to a column.

    Args:
        blocks: `[n, count, side, side]`, an even count.

    Returns:
        `[n, 2 * side, count / 2 * side]`: block 0 above block 1, to the right of them block 2
        above block 3, and so on.

    Example:

    >>> tile(np.arange(4).reshape(1, 4, 1, 1)).tolist()
    [[[0, 2], [1, 3]]]
    """
    size, count, side, _ = blocks.shape
    columns = blocks.reshape(size, count // 2, 2, side, side)
    return columns.transpose(0, 2, 3, 1, 4).reshape(size, 2 * side, count // 2 * side)


def _classes(sources, classes) -> tuple[tuple[int, int], ...]:
    """Returns the pair of classes of each block, checked."""
    if isinstance(sources, str) or len(sources) < 2 or len(sources) % 2:
        raise UsageError(
            f"`sources` is a list of an even number of datasets. Received: sources={sources!r}"
        )
    if classes is None:
        if unknown := [name for name in sources if name not in PUBLISHED_CLASSES]:
            raise UsageError(f"`classes` must be given for {unknown[0]!r}. Received: classes=None")
        classes = [PUBLISHED_CLASSES[name] for name in sources]
    pairs = tuple(tuple(pair) for pair in classes)
    if len(pairs) != len(sources) or not all(len(set(pair)) == len(pair) == 2 for pair in pairs):
        raise UsageError(
            "`classes` are two different classes for each of `sources`. "
            f"Received: classes={classes!r}, sources={sources!r}"
        )
    return pairs


@functools.lru_cache(maxsize=16)
def image_pools(source: str, pair: tuple[int, int], stride: int, data_dir: str | None):
    """Returns subsampled gray blocks of the two classes, for training and for testing. Cached."""
    data = data_sources.load(source, {"flatten": False}, data_dir)
    parts = []
    for inputs, labels in (
        (data.train_inputs[: _FIRST.get(source)], data.train_labels[: _FIRST.get(source)]),
        (data.test_inputs, data.test_labels),
    ):
        pools = [as_block(inputs[labels == one])[:, ::stride, ::stride] for one in pair]
        if not all(map(len, pools)):
            raise UsageError(f"Dataset {source!r} lacks a class. Received: classes {pair}")
        parts.append(tuple(pools))
    return tuple(parts)


def as_block(images: np.ndarray) -> np.ndarray:
    """Converts images to the gray 32 by 32 blocks of collages.

    Args:
        images: `[n, side, side, channels]`, in [0, 1], with a side of at most 32.

    Returns:
        `[n, 32, 32]`, in multiples of 1/255.

    Raises:
        UsageError: Images that are not square, or larger.

    Example:

    >>> as_block(np.full((1, 28, 28, 3), 0.5))[0, 1:4, 16].round(3).tolist()
    [0.0, 0.502, 0.502]
    """
    if images.ndim != 4 or images.shape[1] != images.shape[2] or images.shape[1] > SIDE:
        raise UsageError(
            f"A block is made of square images of at most {SIDE} pixels. "
            f"Received: shape {images.shape}"
        )
    # Half a gray level is rounded up, as when images are saved, not to even.
    gray = np.floor(images.mean(axis=-1) * 255 + 0.5) / 255
    factor = SIDE // images.shape[1]
    gray = gray.repeat(factor, axis=1).repeat(factor, axis=2)
    before = (SIDE - gray.shape[1]) // 2
    after = SIDE - gray.shape[1] - before
    return np.pad(gray, ((0, 0), (before, after), (before, after)))
