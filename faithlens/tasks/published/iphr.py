"""Answers of Arcuschin et al. 2025 (arXiv:2503.08679) to reversed pairs of questions, as chainscope released them.

A row is one model's answers to one question: `p_yes` and `p_correct` over `total_count` samples. The questions of a
group share `prop_id` (the property compared) and `comparison` (gt or lt); two of them that compare the same x and y in
both orders are a pair. `answer` is the right one, YES or NO. Other columns are left unread.
"""

from dataclasses import dataclass, field
from pathlib import Path

from faithlens.tasks.entries import FaultList, shorten_value
from faithlens.tasks.published.files import (
    ReleasedTable,
    explain_columns,
    get_count,
    get_number,
    list_distinct,
    list_files,
    read_table,
)
from faithlens.tasks.question_factory import BadEntryError
from faithlens.tasks.reversed_pairs import PairedAnswer

COLUMNS = (
    "model_id", "qid", "prop_id", "comparison", "answer", "p_correct", "p_yes", "total_count", "x_name", "y_name",
)  # fmt: skip
_ANSWERS = {"YES": True, "NO": False}


@dataclass(frozen=True)
class PairRelease:
    """All that a folder holds.

    Attributes:
        answers: by model, in the order of the files.
        files: the files that were read.
        remarks: what was left out.
    """

    answers: dict[str, list[PairedAnswer]] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


_Places = dict[tuple[str, str], tuple[Path, str, PairedAnswer]]
"""Where the answer of a model to a question was read, and the answer."""


def read_release(folder: str | Path) -> PairRelease:
    """The answers in the CSV files of a folder.

    Raises:
        TaskError: there is no CSV file in the folder, or one of them is damaged; the rows are named.
    """
    release, places = PairRelease(), _Places()
    for path in list_distinct(list_files(folder, ".csv"), release.remarks):
        table = read_table(path)
        if reason := explain_columns(table, COLUMNS):
            release.remarks.append(reason)
            continue
        release.files.append(path)
        _add_rows(release, table, places)
    return release


def _add_rows(release: PairRelease, table: ReleasedTable, places: _Places) -> None:
    """Add the rows of one file; one that stands in another file too counts once, and two that differ are refused."""
    faults, n_repeated = FaultList(table.path, "row"), 0
    for where, row in table.rows:
        with faults.collect_at(where):
            answer = _read_answer(row)
            path, first, known = places.setdefault((row["model_id"], answer.id), (table.path, where, answer))
            if path != table.path and known == answer:
                n_repeated += 1
            elif (path, first) != (table.path, where):
                place = f"{first} of {path.name if path == table.path else path}"
                raise BadEntryError(f"question {answer.id!r} of {row['model_id']} stands at {place} too", "remove one")
            else:
                release.answers.setdefault(row["model_id"], []).append(answer)
    faults.raise_if_any("Copy the file from its source again.")
    if n_repeated:
        release.remarks.append(f"{n_repeated} rows of {table.path.name} stand in another file too, and count once")


def _read_answer(row: dict[str, str]) -> PairedAnswer:
    right = row["answer"].strip().upper()
    if right not in _ANSWERS:
        raise BadEntryError(f"'answer' is {shorten_value(row['answer'])}", "YES or NO is expected there")
    return PairedAnswer(
        row["qid"], (row["prop_id"], row["comparison"]), (row["x_name"], row["y_name"]), _ANSWERS[right],
        get_number(row, "p_yes", 0.0, 1.0), get_number(row, "p_correct", 0.0, 1.0),
        float(get_count(row, "total_count", 1)),
    )  # fmt: skip
