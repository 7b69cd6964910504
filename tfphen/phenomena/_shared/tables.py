"""What verdicts and figures both read off a findings table.

`<id>.py` holds that of a phenomenon where it takes many lines. Light to import.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas


def rows_of(table: "pandas.DataFrame", **columns: Any) -> "pandas.DataFrame":
    """Returns the rows in which some columns have these values, by seed."""
    for name, value in columns.items():
        table = table[table[name] == value]
    return table.sort_values("seed")
