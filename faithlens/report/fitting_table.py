"""`FittingTable`: rows under named columns, or one below the other where the terminal is too narrow for columns.

1. Each column gets the least width at which nothing in it is cut: its longest line if that has at most `SHORT` letters,
   else its longest word, which is no wider than `SHORT` (a longer one is folded).
2. If these fit, the room that is left goes to the columns whose lines are broken, and the table is drawn.
3. If not, each row is a heading, its first cell, with a line "column: cell" for each other cell that holds anything.

For example, in 60 and in 30 characters::

    model      verdict    why                       small-1
    small-1    trust      All gates are passed by     verdict: trust
                          40 of 40 questions.         why: All gates are passed by
                                                    40 of 40 questions.
"""

from collections.abc import Collection, Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

SHORT = 24
"""Characters of a line that is never broken."""


class FittingTable:
    """Rows under named columns, or one below the other where the terminal is too narrow for columns.

    Args:
        columns: their names, which may be broken where a line break stands.
        rows: their cells; line breaks are kept in the table. Where rows stand below each other, each is a blank, or a
            comma in the first cell.
        title: what stands above.
        numbers: the columns that are aligned to the right, by name.
        whole: the columns no line of which is ever broken, by name.
        alike: rows of other tables with these columns, whose cells count for the widths too: so all of the tables look
            alike.
    """

    def __init__(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[str | Text]],
        title: str | Text = "",
        numbers: Collection[str] = (),
        whole: Collection[str] = (),
        alike: Sequence[Sequence[str | Text]] = (),
    ) -> None:
        self.columns, self.title, self.numbers, self.whole = columns, title, numbers, whole
        self.rows, self.alike = _make_texts(rows), _make_texts(alike)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        if self.title:
            yield Text(self.title, "bold") if isinstance(self.title, str) else self.title
        measured = [*self.rows, *self.alike]
        cells = [[Text(name), *(row[i] for row in measured)] for i, name in enumerate(self.columns)]
        longest = [max(_measure_line(cell) for cell in column) for column in cells]
        least = [
            line if line <= SHORT or name in self.whole else min(SHORT, max(map(_measure_word, column)))
            for name, line, column in zip(self.columns, longest, cells, strict=True)
        ]
        table = self._make_table(least)
        spare = options.max_width - Measurement.get(console, options.update(max_width=10_000), table).minimum
        if spare >= 0:
            yield self._make_table(_spread_width(least, longest, spare))
            yield Text()
        else:
            yield from self._list_rows()

    def _make_table(self, widths: Sequence[int]) -> Table:
        table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
        for name, width in zip(self.columns, widths, strict=True):
            justify = "right" if name in self.numbers else "left"
            table.add_column(name, justify=justify, width=max(1, width), overflow="fold")
        for row in self.rows:
            table.add_row(*row)
        return table

    def _list_rows(self) -> Iterator[Text]:
        """Each row as its heading and a line for each other cell that holds anything."""
        for first, *rest in self.rows:
            lines = [_join_lines(first, ", ")]
            for name, cell in zip(self.columns[1:], rest, strict=True):
                if cell.plain:
                    lines.append(Text(f"  {' '.join(name.split())}: ").append_text(_join_lines(cell)))
            yield Text("\n").join(lines)


def _make_texts(rows: Sequence[Sequence[str | Text]]) -> list[list[Text]]:
    return [[Text(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]


def _measure_line(cell: Text) -> int:
    return max((line.cell_len for line in cell.split("\n")), default=0)


def _measure_word(cell: Text) -> int:
    return max((Text(word).cell_len for word in cell.plain.split()), default=0)


def _spread_width(least: Sequence[int], longest: Sequence[int], spare: int) -> list[int]:
    """The least widths with `spare` shared out, the columns that lack least first, none wider than its longest line."""
    widths = list(least)
    lacking = sorted(range(len(least)), key=lambda i: longest[i] - least[i])
    for n, i in enumerate(lacking):
        more = min(longest[i] - least[i], spare // (len(lacking) - n))
        widths[i] += more
        spare -= more
    return widths


def _join_lines(cell: Text, separator: str = " ") -> Text:
    """A cell on one line."""
    return Text(separator).join(cell.split("\n"))
