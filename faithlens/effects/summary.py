"""`Summary`: the results of experiments show themselves in one line, and in a notebook as a small table."""

import pandas as pd

from faithlens.console import format_html_table

MAX_ROWS = 40
"""Rows of a table in a notebook; the caption says how many there are."""


class Summary:
    """The base of results that describe themselves by a caption and a table of what people look at first."""

    def summarise(self) -> tuple[str, pd.DataFrame]:
        """What was measured on how much, in a few words, and the numbers."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.summarise()[0]})"

    def _repr_html_(self) -> str:
        caption, table = self.summarise()
        if len(table) > MAX_ROWS:
            caption += f"; {MAX_ROWS} of {len(table)} rows"
        rows = table.head(MAX_ROWS).itertuples(index=False, name=None)
        return format_html_table(caption, [str(name) for name in table.columns], rows)


def average_by(table: pd.DataFrame, keys: list[str], value: str) -> pd.DataFrame:
    """The mean of one column for each combination of `keys`, in the order in which they stand in the table."""
    return table.groupby(keys, sort=False, as_index=False, dropna=False)[[value]].mean()
