"""A wide network errs less on a toy problem than one with a single hidden unit."""

import dataclasses

from tfphen.core import config as configs
from tfphen.core.trial import Data, Spec, Trial
from tfphen.experiment.phenomenon import Phenomenon
from tfphen.measures.basic import error, wrong
from tfphen.verdicts.findings import Control, Signature


@dataclasses.dataclass(frozen=True)
class Config(configs.Config):
    """Settings.

    Args:
        narrow: Hidden units of the narrow network.
        wide: Hidden units of the wide ones; each is a population of its own.
        steps: Updates.
        gap: Threshold of the difference in test error.
    """

    narrow: int = 1
    wide: tuple[int, ...] = (32,)
    steps: int = 40
    gap: float = 0.05


class ToyWidth(Phenomenon):
    Config = Config
    measures = (error("test"), wrong("test"))
    curve_measures = (error("train"),)

    def trials(self, config):
        for units in (config.narrow, *config.wide):
            for seed in config.seed_range():
                for arm in ("first", "second"):
                    yield Trial(
                        model=Spec("mlp", hidden_units=[units]),
                        data=Data(
                            "gaussian_mixture",
                            options={
                                "dimensions": 10,
                                "train_per_class": 60,
                                "test_per_class": 100,
                                "generator_seed": 1,
                            },
                        ),
                        optimizer=Spec("adam", learning_rate=0.02),
                        batch_size=32,
                        steps=config.steps,
                        seed=seed,
                        # The second arm differs in the order of its batches only.
                        stream_seeds={"order": seed + 500} if arm == "second" else {},
                        curve=(config.steps // 2,),
                        tags={"units": units, "arm": arm, "seed": seed},
                    )

    def findings(self, table, config):
        from tfphen.verdicts import stats

        errors = table.pivot(index="seed", columns=["units", "arm"], values="test_error")
        narrow, wide = config.narrow, config.wide[-1]
        gap = stats.paired_difference(errors[narrow, "first"], errors[wide, "first"])
        yield Signature("width_helps", gap, above=config.gap)
        same = stats.paired_difference(errors[wide, "first"], errors[wide, "second"])
        yield Control("same_width_is_the_same", same, above=config.gap)

    def reproductions(self, table, config, number):
        from tfphen.verdicts import stats

        rows = table[(table.units == number.setting["units"]) & (table.arm == "first")]
        return (stats.mean(100 * rows.test_error, number.metric), None) if len(rows) else None

    def figure(self, table, config, figure):
        from tfphen.experiment import plots

        axes = figure.subplots()
        grid = table[table.arm == "first"].pivot(index="seed", columns="units", values="test_error")
        plots.interval_band(axes, list(grid.columns), grid.to_numpy(), "test error")
        plots.threshold_line(axes, 0.9, "chance")
        axes.set(xscale="log", xlabel="hidden units", ylabel="test error")
        plots.direct_labels(axes)
