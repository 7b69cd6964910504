"""Class weights stop acting once a network separates its training set (Byrd and Lipton 2019).

Two mechanisms side by side: linear models on points in the plane, where it is known why weights
fade, and networks on images of two classes. Weights act or not on what belongs to neither class,
which is read as the share that is put into class 1: see `findings`.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import ClassVar

from tfphen.core import config as configs
from tfphen.core.errors import UsageError
from tfphen.core.trial import Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, error
from tfphen.phenomena.importance_weighting import findings as readings
from tfphen.phenomena.importance_weighting import trials as protocol
from tfphen.phenomena.importance_weighting.trials import Networks, Points
from tfphen.verdicts.findings import Control, Signature

# Share of the spread that is lost late; part of the early spread that may be left; spread or shift
# that counts, for points and for images; training accuracy of a network that has fitted.
DECLINE, LEFT, POINTS_MOVED, RESTORED, MOVED, FITTED = 0.15, 0.5, 0.1, 0.05, 0.08, 0.99


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings.

    Args:
        points: Settings of the models of points in the plane, or None to leave them out.
        networks: Settings of the networks on images, or None to leave them out.
        differs: In what a paper experiment departs from the published one, as far as it matters.
    """

    points: Points | None = None
    networks: Networks | None = None
    differs: tuple[str, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        if self.points is None and self.networks is None:
            raise UsageError("One of `points` and `networks` is needed. Received: neither")


# ---- model and measures --------------------------------------------------------------------------


def _cat_dog_cnn(input_shape, num_classes, *, dropout: float = 0.0, defaults="torch", seed=0):
    """Five convolutions with two poolings, two dense layers; dropout after the dense layers."""
    import keras

    from tfphen.models.layer_defaults import LayerDefaults, classifier, image_inputs

    make = LayerDefaults(defaults, seed)
    inputs, x = image_inputs(input_shape, "cat_dog_cnn", smallest=24)
    for number, filters in enumerate((64, 64, 128, 128, 128), 1):
        x = make.convolution(filters, 3, x, f"conv_{number}", activation="relu")
        if number in (2, 5):
            x = keras.layers.MaxPooling2D(2, name=f"pool_{number}")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    for number, units in enumerate((512, 128), 1):
        x = make.dense(units, x, f"hidden_{number}", activation="relu")
        if dropout:
            x = make.dropout(dropout, x, f"dropout_{number}")
    return keras.Model(inputs, classifier(x, num_classes, make), name="cat_dog_cnn")


def _gap(logits):
    """How far class 1 is ahead of class 0."""
    return logits[..., 1] - logits[..., 0]


def _ambiguous_share(trained):
    import numpy as np

    if trained.trials[0].data.classes is not None:
        return (_gap(trained.logits("other_test")) > 0).mean(-1)
    axis = np.linspace(-6.5, 6.5, 40) + 2.5
    grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    return (_gap(trained.apply(grid)) > 0).mean(-1)


def _noise_share(trained):
    """Of 500 images of uniform noise, the same ones at any time."""
    from tfphen.core.seeds import stream

    shape = 500, *trained.inputs("test").shape[2:]
    return (_gap(trained.apply(stream(0, "noise_images").random(shape))) > 0).mean(-1)


def _margin(trained):
    return trained.mean("train", abs(_gap(trained.logits("train"))))


def _logit_norm(trained):
    return trained.mean("train", (trained.logits("train") ** 2).sum(-1) ** 0.5)


class ImportanceWeighting(Phenomenon):
    """All weights of an arm are one population; the arms of networks differ in little more."""

    title = "Importance weighting fades"
    claim = (
        "Class weights of the loss move the decisions of a network strongly in its first epochs. "
        "Once it separates its training set their effect fades, since the logits grow and the "
        "loss is least at infinity for any weights. An L2 penalty brings some of it back, dropout "
        "does not, and leaving out examples of a class acts where weights no longer do."
    )
    paper = (
        "J. Byrd, Z. C. Lipton, What is the Effect of Importance Weighting in Deep Learning?, "
        "ICML 2019, arXiv 1812.03372"
    )
    Config = Config
    measures = (error("train"), error("test"))
    curve_measures = (
        Measure(readings.AMBIGUOUS, _ambiguous_share),
        Measure("test_share", lambda trained: (_gap(trained.logits("test")) > 0).mean(-1)),
        Measure("noise_share", _noise_share),
        error("train"),
        Measure("margin", _margin),
        Measure("logit_norm", _logit_norm),
    )
    sources: ClassVar[Mapping] = {"blobs": protocol.blobs}
    models: ClassVar[Mapping] = {"cat_dog_cnn": _cat_dog_cnn}

    def trials(self, config: Config) -> Iterator[Trial]:
        for seed in config.seed_range():
            yield from protocol.points_trials(config.points, seed) if config.points else ()
            yield from protocol.networks_trials(config.networks, seed) if config.networks else ()

    def findings(self, table, config: Config) -> Iterator[Signature]:
        if config.points:
            yield from _of_points(table, config.points)
        if config.networks:
            yield from _of_networks(table, config.networks)

    def reproductions(self, table, config: Config, number):
        from tfphen.verdicts import stats

        weight, epoch = number.setting.get("weight"), number.setting.get("epoch")
        if config.points and number.metric == "fraction positive on test points":
            at = (*config.points.curve(), config.points.epochs)
            ratio = {"up": config.points.ratio, "equal": 1.0, "down": 1 / config.points.ratio}
            if epoch in at and weight in ratio:
                ours, equal = (
                    stats.mean(
                        readings.curves(table, "points", one, "test_share")[:, at.index(epoch)],
                        number.metric,
                    )
                    for one in (ratio[weight], 1.0)
                )
                return ours, None if weight == "equal" else equal
        if config.networks and number.metric == "fraction of images of other classes called dog":
            found = readings.typical(table, "networks", readings.AMBIGUOUS)
            return stats.mean(found[:, -1], number.metric), None
        return None


# ---- findings ----------------------------------------------------------------------------------


def _of_points(table, points: Points) -> Iterator[Signature]:
    arms = [(Signature, "points"), (Control, "points_overlapping")]
    arms += [(Control, "points_poly_tailed")] * (points.alpha is not None)
    for kind, arm in arms:
        yield kind(f"weights_fade_{arm}", readings.late_decline(table, arm), above=DECLINE)
    if points.l2 is not None:
        found = readings.restored(table, "points_l2", "points")
        yield Signature("l2_restores_weights_points", found, above=POINTS_MOVED)
        found = readings.moved_without_weights(table, "points_l2", "points")
        yield Control("l2_moves_points_without_weights", found, above=POINTS_MOVED)


def _of_networks(table, networks: Networks) -> Iterator[Signature]:
    for kind, arm in ((Signature, "networks"), (Control, "noisy_linear")):
        yield kind(f"training_set_is_fitted_{arm}", readings.fit(table, arm), above=FITTED)
        found = readings.kept(table, arm, networks.early)
        yield kind(f"weights_fade_{arm}", found, below=LEFT)
    for kind, arm in ((Signature, "l2"), (Control, "dropout")):
        found = readings.restored(table, f"networks_{arm}", "networks")
        yield kind(f"{arm}_restores_weights_networks", found, above=RESTORED)
    for kind, arm in ((Signature, "dropout"), (Control, "half_l2")):
        found = readings.restored_beyond_a_third(
            table, f"networks_{arm}", "networks_l2", "networks"
        )
        yield kind(f"{arm}_restores_less_than_a_third_of_l2", found, below=0.0)
    for kind, arm, name in (
        (Signature, "networks_sub_sampled", "sub_sampling"),
        (Control, "networks", "weighting"),
    ):
        yield kind(f"{name}_acts_at_the_end", readings.moved(table, arm, "networks"), above=MOVED)
