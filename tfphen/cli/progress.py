"""Progress of training: a bar on a terminal, occasional lines elsewhere."""

import math
import sys
import time
from typing import Self

import typer
from rich import progress
from rich.table import Column

from tfphen.experiment.runner import Progress
from tfphen.report import terminal

_SECONDS_BETWEEN_LINES = 30.0


def make(name: str) -> "Lines | Bar":
    """Returns the progress of one run, a context manager that writes to standard error.

    Args:
        name: Name of the run.
    """
    return Bar(name) if sys.stderr.isatty() else Lines(name)


class _Counting(Progress):
    """Counts trials. A trial in training counts by the fraction of its steps done."""

    def __init__(self, name: str):
        self.name = name
        self.total = self.already = 0
        self.completed = 0.0

    def begin(self, total: int, done: int) -> None:
        self.total, self.already, self.completed = total, done, float(done)

    def tick(self, trials: float) -> None:
        self.completed = min(self.completed + trials, self.total)

    @property
    def trained(self) -> bool:
        """Whether anything was left to train."""
        return self.already < self.total

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        return None


class Lines(_Counting):
    """Plain lines for logs: at the start, at the end, and at most every 30 seconds between."""

    def __init__(self, name: str):
        super().__init__(name)
        self._started = self._last = 0.0

    def begin(self, total: int, done: int) -> None:
        super().begin(total, done)
        self._started = self._last = time.monotonic()
        if self.trained:
            typer.echo(f"{self.name}: {total} trials, {done} cached", err=True)

    def tick(self, trials: float) -> None:
        super().tick(trials)
        now = time.monotonic()
        if now - self._last < _SECONDS_BETWEEN_LINES:
            return
        self._last = now
        gone, new = now - self._started, self.completed - self.already
        left = gone / new * (self.total - self.completed) if new > 0 else math.nan
        typer.echo(
            f"{self.name}: {math.floor(self.completed + 1e-6)} of {self.total} trials, "
            f"{terminal.duration(gone)} elapsed, about {terminal.duration(left)} left",
            err=True,
        )

    def end(self) -> None:
        if self.trained:
            gone = terminal.duration(time.monotonic() - self._started)
            typer.echo(f"{self.name}: {self.total} trials done in {gone}", err=True)


class Bar(_Counting):
    """A bar with counts, elapsed time, time left and the current population."""

    def __init__(self, name: str):
        super().__init__(name)
        # On a narrow screen, this column is cut first.
        rest = Column(ratio=1, no_wrap=True, overflow="ellipsis")
        self._bar = progress.Progress(
            progress.TextColumn("{task.fields[name]}", table_column=Column(no_wrap=True)),
            progress.BarColumn(bar_width=16),
            progress.TextColumn("{task.fields[count]}", table_column=Column(no_wrap=True)),
            progress.TimeElapsedColumn(),
            progress.TextColumn("left"),
            progress.TimeRemainingColumn(),
            progress.TextColumn("[dim]{task.description}", table_column=rest),
            console=terminal.console(errors=True),
            transient=True,
            expand=True,
        )
        self._task: progress.TaskID | None = None

    def begin(self, total: int, done: int) -> None:
        super().begin(total, done)
        if self.trained:
            self._task = self._bar.add_task(
                "",
                total=total,
                completed=done,
                name=self.name,
                count=self._count(),
            )
            self._bar.start()

    def group(self, description: str) -> None:
        # Text from a phenomenon is not markup.
        what = description.partition(": ")[2].replace("[", r"\[")
        if self._task is not None:
            self._bar.update(self._task, description=what)

    def tick(self, trials: float) -> None:
        before = self.completed
        super().tick(trials)
        if self._task is not None:
            self._bar.update(self._task, advance=self.completed - before, count=self._count())

    def _count(self) -> str:
        return f"{math.floor(self.completed + 1e-6)}/{self.total}"

    def __exit__(self, *error: object) -> None:
        self._bar.stop()
