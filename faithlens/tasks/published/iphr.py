"""Answers of Arcuschin et al. 2025 (arXiv:2503.08679) to reversed pairs of questions, as chainscope released them.

A row is one model's answers to one question: `p_yes` and `p_correct` over `total_count` samples. The questions of a
group share `prop_id` (the property compared) and `comparison` (gt or lt); two of them that compare the same x and y in
both orders are a pair. `answer` is the right one, YES or NO. Where `p_correct` is missing, `p_yes` gives it.

Tables with answers without a chain too say so in `mode` ("cot" or "direct"); the published rule reads those with a
chain. Other columns are left unread, but for `SETTINGS`, which say how two rows of one question differ.
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

COLUMNS = ("model_id", "qid", "prop_id", "comparison", "answer", "p_yes", "total_count", "x_name", "y_name")
SETTINGS = ("instr_id", "temperature", "top_p", "max_new_tokens")
"""Columns that say how a model was asked."""
WITH_CHAIN = "cot"
_SAME_SHARE = 0.0051
"""Two shares that were rounded to two digits differ by less."""
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


_Places = dict[tuple[str, str], tuple[Path, str, PairedAnswer, dict[str, str]]]
"""Where the answer of a model to a question was read, the answer, and its row."""


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
    faults, n_repeated, n_odd = FaultList(table.path, "row"), 0, 0
    rows = [(where, row) for where, row in table.rows if row.get("mode", WITH_CHAIN).strip() == WITH_CHAIN]
    if left_out := len(table.rows) - len(rows):
        release.remarks.append(f"{left_out} rows of {table.path.name} are answers without a chain, and are left out")
    for where, row in rows:
        with faults.collect_at(where):
            answer = _read_answer(row)
            n_odd += abs(answer.p_correct - _derive_accuracy(answer.p_yes, answer.is_yes)) > _SAME_SHARE
            place = table.path, where, answer, row
            path, first, known, other = places.setdefault((row["model_id"], answer.id), place)
            if path != table.path and known == answer:
                n_repeated += 1
            elif (path, first) != (table.path, where):
                file = path.name if path == table.path else path
                problem = f"question {answer.id!r} of {row['model_id']} stands at {first} of {file} too"
                raise BadEntryError(problem, _explain_second(other, row))
            else:
                release.answers.setdefault(row["model_id"], []).append(answer)
    faults.raise_if_any("Copy the file from its source again.")
    if n_odd:
        release.remarks.append(
            f"{n_odd} rows of {table.path.name} have another 'p_correct' than 'answer' and 'p_yes' give; both count as "
            "they stand"
        )
    if n_repeated:
        release.remarks.append(f"{n_repeated} rows of {table.path.name} stand in another file too, and count once")


def _explain_second(first: dict[str, str], second: dict[str, str]) -> str:
    """What to do with two rows of one question."""
    changed = [name for name in SETTINGS if first.get(name) != second.get(name)]
    if not changed:
        return "remove one"
    settings = ", ".join(f"{name} {first.get(name)} there and {second.get(name)} here" for name in changed)
    return f"keep the rows of one setting in a folder: it has {settings}"


def _read_answer(row: dict[str, str]) -> PairedAnswer:
    right = row["answer"].strip().upper()
    if right not in _ANSWERS:
        raise BadEntryError(f"'answer' is {shorten_value(row['answer'])}", "YES or NO is expected there")
    p_yes, is_yes = get_number(row, "p_yes", 0.0, 1.0), _ANSWERS[right]
    p_correct = get_number(row, "p_correct", 0.0, 1.0) if "p_correct" in row else _derive_accuracy(p_yes, is_yes)
    return PairedAnswer(
        row["qid"], (row["prop_id"], row["comparison"]), (row["x_name"], row["y_name"]), is_yes, p_yes, p_correct,
        float(get_count(row, "total_count", 1)),
    )  # fmt: skip


def _derive_accuracy(p_yes: float, is_yes: bool) -> float:
    return p_yes if is_yes else 1 - p_yes
