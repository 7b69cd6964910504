"""The figure."""


def draw(table, config, figure) -> None:
    """Draws test error against width into an empty Matplotlib figure."""
    axes = figure.subplots()
    for arm, rows in table.groupby("arm"):
        mean = rows.groupby("width").test_error.mean()
        axes.plot(mean.index, mean.values, marker="o", label=f"{arm} labels")
    axes.set(xlabel="hidden units", ylabel="test error", xscale="log")
    axes.legend()
