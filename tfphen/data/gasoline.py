"""Demand for gasoline in 18 OECD countries from 1960 to 1978: a panel to be copied by hand."""

from pathlib import Path

import numpy as np

from tfphen.core import checks
from tfphen.core.errors import MissingData
from tfphen.core.seeds import stream
from tfphen.core.types import Array
from tfphen.data.dataset import Dataset

FILE = "gasoline.csv"
COUNTRY, YEAR = "COUNTRY", "YEAR"
# Causes first, then what is predicted: gasoline per car, as all of them logarithms.
VARIABLES = ("LINCOMEP", "LRPMG", "LCARPCAP", "LGASPCAR")
COUNTRIES, YEARS = 18, 19
WHERE = (
    "It is the panel of B. H. Baltagi and J. M. Griffin (European Economic Review 22, 1983), which "
    "is the data set Gasoline of the R package plm, and OECDGas of AER under other names: save it "
    f"as DIR/{FILE}, a table with the columns "
    f"{', '.join((COUNTRY, YEAR, *VARIABLES))}, and set TFPHEN_DATA=DIR or pass --data-dir DIR."
)


def read(path: str | Path) -> tuple[tuple[str, ...], Array]:
    """Returns the countries in alphabetical order, and their variables in the order of years.

    Args:
        path: The file.

    Returns:
        18 names, and `[18, 19, 4]` in the order of `VARIABLES`, float64.

    Raises:
        MissingData: The file cannot be read, or is not this panel.
    """
    import pandas as pd

    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise MissingData(f"{path} cannot be read as a table: {error}. {WHERE}") from error
    table.columns = table.columns.str.upper()
    names = (COUNTRY, YEAR, *VARIABLES)
    if missing := [name for name in names if name not in table]:
        raise MissingData(
            f"{path} has no column {missing[0]}. Received: {', '.join(table.columns)}. {WHERE}"
        )
    values = table[list(VARIABLES)].apply(pd.to_numeric, errors="coerce")
    sizes = table.groupby(COUNTRY)[YEAR].nunique()
    whole = len(table) == COUNTRIES * YEARS and len(sizes) == COUNTRIES and (sizes == YEARS).all()
    if not (whole and np.isfinite(values.to_numpy()).all()):
        raise MissingData(
            f"{path} must hold {COUNTRIES} countries in {YEARS} years each, {COUNTRIES * YEARS} "
            f"rows of numbers. Received: {len(table)} rows, {len(sizes)} countries, "
            f"{int((~np.isfinite(values)).to_numpy().sum())} entries that are no number. {WHERE}"
        )
    table = table.sort_values([COUNTRY, YEAR])
    array = values.loc[table.index].to_numpy("float64").reshape(COUNTRIES, YEARS, len(VARIABLES))
    return tuple(sizes.index), array


def load(path: str | Path, *, points: int = 6, generator_seed: int = 0) -> Dataset:
    """Returns one country as the target domain, a few years of it known, and the others as sources.

    Inputs are the variables in the order of `VARIABLES`, the last of which is predicted,
    standardized by mean and deviation of the training examples. Labels are domains: the other
    countries in alphabetical order, then the target.

    Args:
        path: The file.
        points: How many of the target's years are training examples; the others are the test set.
        generator_seed: Which target and which years: its remainder by 18 is the target's place in
            the alphabet, its quotient the number of the draw of years.

    Raises:
        MissingData: The file cannot be read, or is not this panel.
        UsageError: A setting is out of its range.
    """
    checks.whole("points", points, 2, YEARS - 1)
    checks.whole("generator_seed", generator_seed, 0)
    draw, target = divmod(generator_seed, COUNTRIES)
    names, values = read(path)
    order = stream(draw, "gasoline", target).permutation(YEARS)
    known, rest = np.sort(order[:points]), np.sort(order[points:])
    sources = np.delete(values, target, axis=0).reshape(-1, len(VARIABLES))
    train = np.concatenate([sources, values[target, known]])
    mean, deviation = train.mean(0), train.std(0)
    labels = np.concatenate([np.repeat(np.arange(COUNTRIES - 1), YEARS), [COUNTRIES - 1] * points])
    return Dataset(
        (train - mean) / deviation,
        labels,
        (values[target, rest] - mean) / deviation,
        np.full(YEARS - points, COUNTRIES - 1),
        num_classes=COUNTRIES,
        name="gasoline",
        description=f"gasoline demand of 18 countries, {points} years of {names[target]} known",
    )
