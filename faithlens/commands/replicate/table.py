"""A published table beside ours: one row for each cell, with the difference and what explains it."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class PublishedCell:
    """One number of a paper and ours.

    Attributes:
        name: what is counted or averaged, and over what.
        published: what the paper or its released code prints; None where they print no such number.
        ours: what the files give; None where they do not give it.
        n: how many questions, pairs or steps ours rests on.
        explanation: what makes the two differ, or why one of them is not there; empty where they are equal.
        digits: the digits after the point of the published number, and of ours in the table.
        low, high: the 95 % interval of ours; None where it is a count of the files, which has none.
    """

    name: str
    published: float | None
    ours: float | None
    n: int
    explanation: str = ""
    digits: int = 1
    low: float | None = None
    high: float | None = None

    @property
    def difference(self) -> float | None:
        """Ours less the published number; None where one of them is not there."""
        return None if self.published is None or self.ours is None else self.ours - self.published

    @property
    def is_rounding(self) -> bool:
        """Whether the difference is no larger than what rounding to the published digits may take away."""
        return self.difference is not None and abs(self.difference) <= 0.5 * 10**-self.digits + 1e-9


@dataclass(frozen=True)
class Replication:
    """A paper's table, made again from its released files.

    Attributes:
        source: the name under which `replicate` knows it.
        paper: the paper, and where the published numbers stand.
        cells: the rows.
        files: the files that were read, with the folder.
        remarks: what was missing or left out, and what a reader has to know about the numbers.
    """

    source: str
    paper: str
    cells: tuple[PublishedCell, ...]
    files: tuple[str, ...]
    remarks: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON: every cell has its `difference` too."""
        return {
            "source": self.source,
            "paper": self.paper,
            "table": [asdict(cell) | {"difference": cell.difference} for cell in self.cells],
            "files": list(self.files),
            "remarks": list(self.remarks),
        }
