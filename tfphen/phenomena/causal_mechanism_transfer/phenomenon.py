"""A mechanism learned from many domains makes few points of a new one do (Teshima et al. 2020).

Where domains share how variables follow from independent components, and differ in the laws of
these, all combinations of the components of a few target points are as good as points of the
target. The mechanism is given, found by linear independent component analysis, or learned by a
flow with generalized contrastive learning.
"""

import dataclasses
import functools
import importlib
import itertools
from collections.abc import Iterator, Mapping
from typing import ClassVar

from tfphen.core import config as configs
from tfphen.core.checks import one_of, whole
from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec, Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import Measure, report
from tfphen.phenomena.causal_mechanism_transfer import findings as readings
from tfphen.verdicts.findings import Control, Signature

# Log of the ratio of two errors: one that is less than two thirds of the other, and one above it.
BETTER, WORSE = -0.4, 0.0
COUNTRIES = readings.COUNTRIES
# What is measured of every fit; and what a figure shows of some fits of the first seed.
NUMBERS, SHOWN = ("error", "score", "kept"), ("points", "sources", "predicted")

_OWN, _LINEAR = "true_mechanism", Spec("mechanism", kind="linear")
_ICA, _TURNED = Spec("fast_ica"), Spec("fast_ica", rotation=45.0)
_TARGET, _SOURCE = Spec("target_only"), Spec("source_only")
# What is fitted in each case of made-up domains, by the name of the arm.
CASES = {
    "nonlinear": {
        _OWN: Spec("mechanism", kind="nonlinear"),
        "linear_mechanism": _LINEAR,
        "fast_ica": _ICA,
        "turned_fast_ica": _TURNED,
        "source_only": _SOURCE,
        "target_only": _TARGET,
    },
    "linear": {_OWN: _LINEAR, "fast_ica": _ICA, "target_only": _TARGET},
    "same_laws": {"source_only": _SOURCE, "target_only": _TARGET},
}
PANEL = {
    "source_only": _SOURCE,
    "target_only": _TARGET,
    "source_and_target": Spec("source_and_target"),
    "all_target": Spec("all_target"),
}


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings.

    Args:
        data: `"shared_mechanism"`, made-up domains, or `"gasoline"`, see `tfphen.data.gasoline`,
            where each of the 18 countries is the target once for each seed.
        points: Known points of the target domain.
        domains, per_domain: Number of made-up source domains, and examples of each.
        learned: On how many of the seeds flows are trained, at most `seeds`.
        depths, hidden_units, score_units, weight_decays: Flows of every combination of these are
            trained, see `contrastive_flow`; the error of the target's points that are
            left out chooses among them.
        learning_rate, batch_size, epochs: Of each flow, with Adam.
        checkpoints: After how many equal parts of the training it may be stopped, by the same
            choice.
        differs: In what a paper experiment departs from the published one, as far as it matters.
    """

    data: str = "shared_mechanism"
    points: int = 10
    domains: int = 10
    per_domain: int = 200
    learned: int = 0
    depths: tuple[int, ...] = (4,)
    hidden_units: tuple[int, ...] = (10,)
    score_units: tuple[int, ...] = (20,)
    weight_decays: tuple[float, ...] = (1e-3,)
    learning_rate: float = 1e-3
    batch_size: int = 32
    epochs: int = 500
    checkpoints: int = 5
    differs: tuple[str, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        one_of("data", self.data, ("shared_mechanism", "gasoline"))
        whole("points", self.points, 2)
        whole("domains", self.domains, 2)
        whole("learned", self.learned, 0)
        for name in ("per_domain", "batch_size", "epochs", "checkpoints"):
            whole(name, getattr(self, name))
        if self.learned > self.seeds:
            raise UsageError(
                "`learned` is at most the number of seeds. "
                f"Received: learned={self.learned}, seeds={self.seeds}"
            )
        if self.checkpoints > self.epochs:
            raise UsageError(
                "`checkpoints` is at most the number of epochs. "
                f"Received: checkpoints={self.checkpoints}, epochs={self.epochs}"
            )

    def flows(self) -> Iterator[tuple[int, int, int, float]]:
        """Yields every combination of depth, hidden units, score units and weight decay."""
        grid = self.depths, self.hidden_units, self.score_units, self.weight_decays
        return itertools.product(*grid)


def _late(module: str, name: str, *arguments, **settings):
    """Calls a function of a module that is heavy to import."""
    return getattr(importlib.import_module(module), name)(*arguments, **settings)


def _heavy(module: str, name: str):
    return functools.partial(_late, f"{__package__}.{module}", name)


def _shared_mechanism(
    *, mechanism="nonlinear", domains=10, per_domain=200, points=10, shift=1.0, generator_seed=0
):
    from tfphen.phenomena.causal_mechanism_transfer.shared_mechanism import shared_mechanism

    return shared_mechanism(
        mechanism=mechanism,
        domains=domains,
        per_domain=per_domain,
        points=points,
        shift=shift,
        generator_seed=generator_seed,
    )


def _error(trained):
    """Mean squared difference of the prediction from the last variable of the test points."""
    return ((trained.logits("test")[..., 0] - trained.inputs("test")[..., -1]) ** 2).mean(1)


def _learned(name: str) -> Measure:
    """What the target's points give with a flow as it is, see `learned_transfer`."""

    def function(trained):
        from tfphen.phenomena.causal_mechanism_transfer.learned_transfer import transfer

        return getattr(trained.once(transfer), name)

    return Measure(f"learned_{name}", function)


def _predicted(trained):
    """Test points, and predictions of their last variable beside them."""
    import numpy as np

    return np.concatenate([trained.inputs("test"), trained.logits("test")], axis=-1)


class CausalMechanismTransfer(Phenomenon):
    """Fits are solved, a population an arm and case; flows of one shape are one population."""

    title = "Few-shot domain adaptation by a causal mechanism"
    claim = (
        "Where domains share the mechanism that makes variables of independent components, and "
        "differ in the laws of these, predictions from all combinations of the components of few "
        "target points err less than predictions from the points alone, however far the domains "
        "lie apart; sources themselves mislead. A mechanism that is not the true one gains nothing."
    )
    paper = (
        "T. Teshima, I. Sato, M. Sugiyama, Few-shot Domain Adaptation by Causal Mechanism "
        "Transfer, ICML 2020, arXiv 2002.03497"
    )
    Config = Config
    measures = (
        Measure("error", _error),
        *map(report, ("score", "kept", "points")),
        Measure("sources", lambda trained: trained.inputs("train")),
        Measure("predicted", _predicted),
    )
    curve_measures = tuple(map(_learned, NUMBERS))
    models: ClassVar[Mapping] = {"contrastive_flow": _heavy("contrastive_flow", "model")}
    objectives: ClassVar[Mapping] = {
        "generalized_contrastive": _heavy("contrastive_flow", "generalized_contrastive")
    }
    sources: ClassVar[Mapping] = {"shared_mechanism": _shared_mechanism}
    solvers: ClassVar[Mapping] = {"component_combinations": _heavy("mechanism_transfer", "solve")}

    def trials(self, config: Config) -> Iterator[Trial]:
        for place, seed in enumerate(config.seed_range()):
            for data, tags, arms in _tasks(config, seed):
                shown = readings.SHOWN_ARMS if (place, tags["case"]) == (0, "nonlinear") else ()
                yield from _solved(data, seed, tags, arms, shown)
                if place < config.learned and tags["case"] in ("nonlinear", *COUNTRIES):
                    yield from _flows(config, data, seed, tags)

    def findings(self, table, config: Config) -> Iterator[Signature]:
        if config.data == "gasoline":
            yield from _panel_findings(table)
            return
        ratio = functools.partial(readings.log_ratio, table)
        for case, arm in (("nonlinear", _OWN), ("linear", _OWN), ("linear", "fast_ica")):
            yield Signature(f"{arm}_helps_{case}", ratio(case, arm), below=BETTER)
        yield Signature("sources_mislead", ratio("nonlinear", "source_only"), above=WORSE)
        for arm in ("linear_mechanism", "fast_ica", "turned_fast_ica"):
            yield Control(f"{arm}_helps_nonlinear", ratio("nonlinear", arm), below=BETTER)
        same = ratio("same_laws", "source_only")
        yield Control("sources_of_the_same_laws_mislead", same, above=WORSE)

    def reproductions(self, table, config: Config, number):
        return readings.published(table, number) if config.data == "gasoline" else None


def _panel_findings(table) -> Iterator[Signature]:
    """Yields the findings on a panel: units are its countries."""
    learned, sources = (readings.over_countries(table, arm) for arm in ("learned", "source_only"))
    yield Signature("learned_mechanism_helps", learned, below=0.0)
    yield Control("sources_alone_help", sources, below=0.0)


# ---- trials ------------------------------------------------------------------------------------


def _tasks(config: Config, seed: int) -> Iterator[tuple[Data, dict, Mapping[str, Spec]]]:
    """Yields the tasks of one seed: data, tags, and what is fitted."""
    if config.data == "gasoline":
        for place, country in enumerate(COUNTRIES):
            number = seed * len(COUNTRIES) + place
            data = Data("gasoline", options={"points": config.points, "generator_seed": number})
            yield data, {"case": country, "seed": seed}, PANEL
        return
    for case, arms in CASES.items():
        options = {
            "mechanism": "linear" if case == "linear" else "nonlinear",
            "domains": config.domains,
            "per_domain": config.per_domain,
            "points": config.points,
            "generator_seed": seed,
        }
        options |= {"shift": 0.0} if case == "same_laws" else {}
        yield Data("shared_mechanism", options=options), {"case": case, "seed": seed}, arms


def _solved(data: Data, seed: int, tags: dict, arms: Mapping, shown: tuple) -> Iterator[Trial]:
    for arm, model in arms.items():
        yield Trial(
            model=model,
            data=data,
            optimizer=Spec("component_combinations"),
            seed=seed,
            measures=(*NUMBERS, *SHOWN) if arm in shown else NUMBERS,
            tags={"arm": arm, **tags},
        )


def _flows(config: Config, data: Data, seed: int, tags: dict) -> Iterator[Trial]:
    examples = config.points + (
        config.domains * config.per_domain if config.data == "shared_mechanism" else 17 * 19
    )
    steps = config.epochs * -(-examples // min(config.batch_size, examples))
    names = ("depth", "hidden_units", "score_units")
    for *shape, decay in config.flows():
        yield Trial(
            model=Spec("contrastive_flow", **dict(zip(names, shape, strict=True))),
            data=data,
            objective=Spec("generalized_contrastive"),
            # A penalty on the weights, as in the published code.
            optimizer=Spec(
                "adam", learning_rate=config.learning_rate, weight_decay=decay, coupled=True
            ),
            batch_size=config.batch_size,
            steps=steps,
            seed=seed,
            curve=[steps * part // config.checkpoints for part in range(config.checkpoints)],
            measures=[f"learned_{name}" for name in NUMBERS],
            tags={"arm": "learned", **tags},
        )
