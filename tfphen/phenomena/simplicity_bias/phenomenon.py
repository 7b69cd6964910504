"""Networks use the simplest of several sufficient features alone (Shah et al. 2020, 2006.07710).

Inputs consist of blocks, each of which tells the classes apart alone. Shuffling a block among test
examples shows whether a network uses it. Sets of networks trained to disagree in the direction of
their input gradients find further blocks (Teney et al. 2022, arXiv 2105.05612).
"""

import dataclasses
from collections.abc import Iterator, Mapping

from tfphen.core import config as configs
from tfphen.core.checks import whole
from tfphen.core.errors import UsageError
from tfphen.core.trial import Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, error
from tfphen.phenomena.simplicity_bias import findings as readings
from tfphen.phenomena.simplicity_bias.trials import Diversity, SlabTraining
from tfphen.verdicts.findings import Control, Signature

# AUC that is accurate, and around chance; by how much accuracy may exceed what noise leaves; share
# of the way from chance to what a block allows.
ACCURATE, CHANCE, SLACK, FOUND = 0.99, (0.45, 0.55), 0.02, 0.2


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings.

    Args:
        slab_test: A training that shows the bias, or None.
        networks: How many networks each seed trains on its data; the logits of several are
            averaged.
        untrained: Whether to test networks that have not been trained, as a control.
        label_free: As `slab_test` where the first block says nothing of the class, or None.
        equal: As `slab_test` where all blocks are equally simple, or None.
        noisy: A training where the simple block is noisy, or None.
        without_simple: As `noisy` without that block.
        diversity: Sets of networks, or None.
        differs: In what a paper experiment departs from the published one, as far as it matters.
    """

    slab_test: SlabTraining | None = None
    networks: int = 1
    untrained: bool = False
    label_free: SlabTraining | None = None
    equal: SlabTraining | None = None
    noisy: SlabTraining | None = None
    without_simple: SlabTraining | None = None
    diversity: Diversity | None = None
    differs: tuple[str, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        whole("networks", self.networks)
        for name, is_one, controls in (
            ("slab_test", self.slab_test, (self.untrained, self.label_free, self.equal)),
            ("noisy", self.noisy, (self.without_simple,)),
        ):
            if bool(is_one) != any(controls):
                raise UsageError(
                    f"`{name}` goes with one of its controls, see the settings. "
                    f"Received: {name}={is_one}, controls {controls}"
                )
        if self.networks > 1 and not self.equal:
            raise UsageError("`networks` need the control `equal`. Received: equal=None")
        if not (self.slab_test or self.noisy or self.diversity):
            raise UsageError(
                "`slab_test`, `noisy` or `diversity` must be given. Received: none of them"
            )

    def slab_trainings(self) -> dict[str, SlabTraining]:
        """Returns what perceptrons are trained on, by the name of the arm."""
        arms = {"slab_test": self.slab_test}
        if self.untrained:
            arms["untrained"] = self.slab_test.untrained()
        for name in ("label_free", "equal", "noisy", "without_simple"):
            arms[name] = getattr(self, name)
        return {arm: training for arm, training in arms.items() if training}


# ---- measures ----------------------------------------------------------------------------------


def _shuffled(trained, groups_of):
    """Yields test inputs of all members, shuffled as `groups_of(blocks)` says of each variant.

    A variant is a list of groups of columns; each group is shuffled by one permutation.
    """
    import numpy as np

    from tfphen.core.seeds import stream
    from tfphen.phenomena.simplicity_bias import collages, slabs

    inputs = trained.inputs("test")
    kinds = {"slabs": slabs.slab_blocks, "collages": collages.collage_blocks}
    found = [kinds[trial.data.name](**trial.data.options) for trial in trained.trials]
    for variant in range(len(groups_of(found[0].columns))):
        changed = np.array(inputs)
        for member, (trial, blocks) in enumerate(zip(trained.trials, found, strict=True)):
            # The same for all networks that have the same data, whose logits are averaged.
            generator = stream(trial.data.options["generator_seed"], "shuffled_block", variant)
            for columns in groups_of(blocks.columns)[variant]:
                order = generator.permutation(inputs.shape[1])
                changed[member] = slabs.randomize_block(
                    changed[member], columns, order, blocks.rotation
                )
        yield changed


def _scores(trained):
    """Differences of the two logits, `[members, 3, n]`, in the order of `readings.SCORES`."""
    import numpy as np

    def groups(columns):
        return [], [columns[0]], [np.concatenate(columns[1:])] if len(columns) > 1 else []

    logits = [trained.apply(inputs) for inputs in _shuffled(trained, groups)]
    return np.stack([one[..., 1] - one[..., 0] for one in logits], axis=1)


def _aucs(trained):
    import numpy as np

    pairs = zip(trained.labels("test"), trained.once(_scores), strict=True)
    return np.asarray([[readings.auc(labels, one) for one in scores] for labels, scores in pairs])


def _accuracies(trained):
    return ((trained.once(_scores) > 0) == trained.labels("test")[:, None]).mean(-1)


def _block_accuracies(trained):
    """Accuracies of each network where one block is predictive, `[members, models, blocks]`."""
    import numpy as np

    def groups(columns):
        return [[*columns[:place], *columns[place + 1 :]] for place in range(len(columns))]

    labels = trained.labels("test")[..., None] == 1
    outputs = [trained.apply(inputs) > 0 for inputs in _shuffled(trained, groups)]
    return np.stack([(one == labels).mean(1) for one in outputs], axis=-1)


def _train_accuracies(trained):
    return ((trained.logits("train") > 0) == (trained.labels("train")[..., None] == 1)).mean(1)


class SimplicityBias(Phenomenon):
    """Slab trainings of one kind are one population, and so are all strengths of a set."""

    title = "Simplicity bias"
    claim = (
        "Where several features predict the label equally well, networks use only the simplest: "
        "shuffling it leaves chance, shuffling all others changes nothing. Averaging independent "
        "networks changes nothing, and a noisy simple feature costs accuracy. Networks that are "
        "trained together for input gradients that do not align find further features."
    )
    paper = (
        "H. Shah, K. Tamuly, A. Raghunathan, P. Jain, P. Netrapalli, The Pitfalls of Simplicity "
        "Bias in Neural Networks, NeurIPS 2020, arXiv 2006.07710; D. Teney, E. Abbasnejad, "
        "S. Lucey, A. van den Hengel, Evading the Simplicity Bias, CVPR 2022, arXiv 2105.05612"
    )
    Config = Config
    measures = (
        error("train"),
        Measure("aucs", _aucs),
        Measure("accuracies", _accuracies),
        Measure("test_scores", lambda trained: trained.once(_scores)),
        Measure("test_labels", lambda trained: trained.labels("test").astype("uint8")),
        Measure("block_accuracies", _block_accuracies),
        Measure("train_accuracies", _train_accuracies),
    )

    # Looked up on an instance, and late: the modules are heavy to import.
    @property
    def models(self) -> Mapping:
        """Builders of its own."""
        from tfphen.phenomena.simplicity_bias.network_sets import network_set

        return {"network_set": network_set}

    @property
    def objectives(self) -> Mapping:
        """Objectives of its own."""
        from tfphen.phenomena.simplicity_bias.network_sets import diverse

        return {"diverse": diverse}

    @property
    def sources(self) -> Mapping:
        """Data sources of its own."""
        from tfphen.phenomena.simplicity_bias.collages import collages
        from tfphen.phenomena.simplicity_bias.slabs import slabs

        return {"slabs": slabs, "collages": collages}

    def trials(self, config: Config) -> Iterator[Trial]:
        for seed in config.seed_range():
            for arm, training in config.slab_trainings().items():
                networks = config.networks if arm in ("slab_test", "equal") else 1
                yield from training.trials(arm, seed, networks)
            if config.diversity:
                yield from config.diversity.trials(seed)

    def findings(self, table, config: Config) -> Iterator[Signature]:
        if config.slab_test:
            yield from _slab_findings(table, config)
        if config.noisy:
            limit = 1 - config.noisy.noisy / 2 + SLACK
            for kind, arm in ((Signature, "noisy"), (Control, "without_simple")):
                accuracy = readings.slab_accuracy(table, arm)
                yield kind(f"accuracy_is_limited_{arm}", accuracy, below=limit)
        if diversity := config.diversity:
            yield from _set_findings(table, diversity)

    def reproductions(self, table, config: Config, number):
        setting = dict(number.setting)
        arm, score = setting.pop("arm", None), setting.pop("score", None)
        if config.diversity and number.metric == "test accuracy, %":
            return _of_collages(table, config.diversity, arm, **setting)
        if arm not in config.slab_trainings():
            return None
        if setting == {"ensemble": config.networks} and number.metric == "AUC":
            return readings.ensemble_auc(table, arm, score), None
        if setting:
            return None
        if number.metric == "AUC":
            return readings.slab_auc(table, arm, score), None
        if score == "train":
            return readings.train_accuracy(table, arm), None
        return readings.slab_accuracy(table, arm, score), None


def _slab_findings(table, config: Config) -> Iterator[Signature]:
    """Yields findings on what shuffled blocks leave of accuracy."""
    standard, simple, others = readings.SCORES
    for kind, arm in (
        (Signature, "slab_test"),
        (Control, "untrained"),
        (Control, "label_free"),
        (Control, "equal"),
    ):
        if arm not in config.slab_trainings():
            continue
        if arm in ("slab_test", "untrained"):
            accurate = readings.slab_auc(table, arm, standard)
            yield kind(f"networks_are_accurate_{arm}", accurate, above=ACCURATE)
        if arm != "untrained":
            left = readings.slab_auc(table, arm, simple)
            yield kind(f"shuffled_simple_block_leaves_chance_{arm}", left, within=CHANCE)
            left = readings.slab_auc(table, arm, others)
            yield kind(f"shuffled_other_blocks_change_nothing_{arm}", left, above=ACCURATE)
    for kind, arm in ((Signature, "slab_test"), (Control, "equal")) if config.networks > 1 else ():
        left = readings.ensemble_auc(table, arm, simple)
        yield kind(f"mean_of_networks_without_simple_block_is_chance_{arm}", left, within=CHANCE)


def _set_findings(table, diversity: Diversity) -> Iterator[Signature]:
    """Yields findings on the blocks that networks find, alone and in sets."""
    names = diversity.names()
    for kind, place in ((Control, 0), *((Signature, place) for place in diversity.claimed)):
        missed = readings.plain_accuracy(table, diversity, place)
        yield kind(f"cross_entropy_alone_misses_{names[place]}", missed, within=CHANCE)
    for place in diversity.claimed:
        for kind, arm in ((Signature, "set"), (Control, "other_seeds")):
            gain = readings.gain(table, diversity, place, arm)
            yield kind(f"{arm}_finds_{names[place]}", gain, above=FOUND)
        luck = readings.luck(table, diversity, place)
        yield Control(f"luck_finds_{names[place]}", luck, above=FOUND)


def _of_collages(table, diversity: Diversity, arm: str, block: str):
    """Returns our estimate of a published accuracy, in percent, or None."""
    from tfphen.verdicts import stats

    if block not in diversity.names():
        return None
    place = diversity.names().index(block)
    if arm == "cross_entropy":
        return readings.plain_accuracy(table, diversity, place, 100), None
    if arm == "upper_bound" and diversity.upper_bounds:
        bounds = readings.upper_bounds(table, diversity, place)
        return stats.mean(100 * bounds, f"upper bound, {block}, %"), None
    return None
