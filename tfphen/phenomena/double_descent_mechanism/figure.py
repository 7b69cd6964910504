"""Noisy labels among clean representations, over width."""

from tfphen.experiment import plots
from tfphen.phenomena.double_descent_mechanism.findings import by_noise, grid_of, interpolating
from tfphen.phenomena.double_descent_mechanism.measures import SHUFFLES


def draw(table, config, figure) -> None:
    """Draws loss, accuracy, P_clean and class activations over width."""
    noisy, clean = by_noise(table)
    trained, untrained = grid_of(noisy, "clean_vote"), grid_of(noisy, "curve_clean_vote", 0)
    shuffled = sum(grid_of(noisy, "shuffled_clean_votes", number) for number in range(SHUFFLES))

    def both(column):
        rate = f"{100 * config.label_noise:g}% label noise"
        return {rate: grid_of(noisy, column), "no label noise": grid_of(clean, column)}

    votes = {"trained": trained, "untrained": untrained}
    votes |= {"inputs": grid_of(noisy, "input_clean_vote"), "shuffled rows": shuffled / SHUFFLES}
    panels = {
        "test loss, nats": both("test_loss"),
        "accuracy with label noise": {
            "test": 1 - grid_of(noisy, "test_error"),
            "training, given labels": 1 - grid_of(noisy, "train_error"),
        },
        "P_clean: neighbors vote true class": votes,
        "gained in training": {"P_clean, trained minus untrained": trained - untrained},
        "cosine of class activations": both("input_cosine"),
        "“complexity”: level of activations": both("complexity"),
    }
    figure.set_size_inches(11.4, 6.6)
    places = figure.subplots(2, 3, sharex=True)
    for axes, (title, lines) in zip(places.flat, panels.items(), strict=True):
        for label, grid in lines.items():
            plots.interval_band(axes, list(grid.columns), grid.to_numpy(), label)
        for threshold in interpolating(noisy)[:1]:
            axes.axvline(threshold, color=plots.SERIES[-1], linestyle=":", linewidth=1.0)
        axes.set(xscale="log", xlabel="width" if axes in places[1] else "", title=title)
        axes.set_xticks(config.widths, labels=map(str, config.widths), minor=False)
        axes.minorticks_off()
        axes.legend()
    places[1, 0].axhline(0.0, color=plots.SERIES[-1], linewidth=0.8)
