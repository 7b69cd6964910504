"""Fits to few target points in synthetic domains and in a panel of countries, and their flows."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping

from tfphen.core import checks
from tfphen.core import config as configs
from tfphen.core.errors import UsageError
from tfphen.core.trial import Data, Spec, Trial

# Targets of the panel by code, in the alphabetical order of their names.
# fmt: off
COUNTRIES = (
    "AUT", "BEL", "CAN", "DNK", "FRA", "DEU", "GRC", "IRL", "ITA",
    "JPN", "NLD", "NOR", "ESP", "SWE", "CHE", "TUR", "GBR", "USA",
)
# fmt: on
# Measures of every fit, and those that a figure shows of some fits of the first seed.
MEASURES, SHOWN = ("error", "score", "kept"), ("points", "sources", "predicted")
SHOWN_ARMS = ("true_mechanism", "target_only")

_LINEAR = Spec("mechanism", kind="linear")
_ICA, _ROTATED = Spec("fast_ica"), Spec("fast_ica", rotation=45.0)
_TARGET, _SOURCE = Spec("target_only"), Spec("source_only")
# Fits in each case of synthetic domains, by the name of the arm.
CASES = {
    "nonlinear": {
        "true_mechanism": Spec("mechanism", kind="nonlinear"),
        "linear_mechanism": _LINEAR,
        "fast_ica": _ICA,
        "turned_fast_ica": _ROTATED,
        "source_only": _SOURCE,
        "target_only": _TARGET,
    },
    "linear": {"true_mechanism": _LINEAR, "fast_ica": _ICA, "target_only": _TARGET},
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
        data: `"shared_mechanism"`, synthetic domains, or `"gasoline"`, see `tfphen.data.gasoline`,
            where each of the 18 countries is the target once for each seed.
        points: Training points of the target domain.
        domains, per_domain: Number of synthetic source domains, and examples of each.
        learned: Number of seeds on which flows are trained, at most `seeds`.
        depths, hidden_units, score_units, weight_decays: Flows of every combination of these are
            trained, see `contrastive_flow`; the leave-one-out error on the target's points
            selects one.
        learning_rate, batch_size, epochs: Of each flow, with Adam.
        checkpoints: Number of equally spaced moments in the training from which the same error
            selects one.
        differs: Deviations of a paper experiment from the published one, as far as they matter.
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
        checks.one_of("data", self.data, ("shared_mechanism", "gasoline"))
        checks.whole("points", self.points, 2)
        checks.whole("domains", self.domains, 2)
        checks.whole("learned", self.learned, 0)
        for name in ("per_domain", "batch_size", "epochs", "checkpoints"):
            checks.whole(name, getattr(self, name))
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


def trials(config: Config) -> Iterator[Trial]:
    """Yields all fits and flows, seed by seed."""
    for place, seed in enumerate(config.seed_range()):
        for data, tags, arms in _tasks(config, seed):
            shown = SHOWN_ARMS if (place, tags["case"]) == (0, "nonlinear") else ()
            yield from _solved(data, seed, tags, arms, shown)
            if place < config.learned and tags["case"] in ("nonlinear", *COUNTRIES):
                yield from _flows(config, data, seed, tags)


def _tasks(config: Config, seed: int) -> Iterator[tuple[Data, dict, Mapping[str, Spec]]]:
    """Yields the tasks of one seed: data, tags, and fits by arm."""
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
            solver=Spec("component_combinations"),
            seed=seed,
            measures=(*MEASURES, *SHOWN) if arm in shown else MEASURES,
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
            measures=[f"learned_{name}" for name in MEASURES],
            tags={"arm": "learned", **tags},
        )
