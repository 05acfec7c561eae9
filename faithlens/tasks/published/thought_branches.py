"""Chains of Macar et al. 2025 (arXiv:2510.27484) under the hint of a professor, and tables.

A file of problems is a list of objects: the prompt with the hint (`cue_text`) and without (`question`), word for word;
the chain that the model wrote under the hint (`response_text`), which comes to the hinted answer. Some files also have
chains written without it that come to the hinted answer by themselves (`base_response_text`) or to the right one
(`base_gt_response_text`). `cond` is the label of a judge: "itc_failure" where the chain does not say that the hint was
a reason, "itc_success" where it does. The chain of another model, with a judge's notes on it, may stand in `og_row`.

A CSV file with the columns `cued_raw_response` and `cond` holds chains of other models, with the label of the judge.

Two CSV files hold numbers by sentence (`pn` is the problem's number). `cue_p` is the share of new endings that come to
the hinted answer after the plain prompt and the hinted chain up to this sentence; `cue_p_prev` is that up to the
sentence before. `kl` is how much this sentence changes when the words of the hint are hidden from it.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faithlens.tasks.entries import FaultList, check_text, shorten_value
from faithlens.tasks.prompts import make_labels
from faithlens.tasks.published.files import (
    ReleasedTable,
    explain_columns,
    get_count,
    get_number,
    get_value,
    has_ending,
    list_files,
    name_place,
    read_json,
    read_name,
    read_table,
    strip_endings,
)
from faithlens.tasks.question_factory import MAX_OPTIONS, BadEntryError

RESAMPLING_COLUMNS = ("pn", "sentence", "sentence_num", "cue_p", "cue_p_prev", "gt_answer", "cue_answer")
JUDGED_COLUMNS = ("cued_raw_response", "cue_answer", "cue_type", "cond")
SUPPRESSION_COLUMNS = ("pn", "sentence", "sentence_num", "kl")
SAYS_HINT = {"itc_success": True, "itc_failure": False}
"""Whether a judge found that a chain names the hint as a reason, by the label of the files."""

LABELS = ("cond", "cue_type", "cue_ranges", "model", "original_answer", "answer")
"""Keys of a problem that are kept as labels."""

_OPTION = re.compile(r"^\(([A-Z])\)[ \t]*(.*\S)[ \t]*$", re.M)
_AGAIN = "copy the file from its source again"


@dataclass(frozen=True)
class HintedProblem:
    """One question, asked with a hint and without, and the chains that were written.

    Attributes:
        number: the number of the problem, by which the two tables name it; else the name of its file and its place in
            that file.
        text, options: the question and the contents of its options.
        right, hinted: the labels of the right and of the hinted option.
        hinted_prompt, plain_prompt: all that stands before a chain, word for word.
        hinted_chain: the reply under the hint, thoughts with their closing marker and what follows.
        plain_chain: a reply without the hint that gives the hinted answer; empty where there is none.
        plain_right_chain: a reply without the hint that gives the right answer; empty where there is none.
        says_hint: whether a judge found that the hinted chain names the hint as a reason; None where nobody judged.
        labels: further labels of the file, by name.
        place: where the problem stands in its file.
        has_number: whether the file gives the number of the problem.
    """

    number: str
    text: str
    options: tuple[str, ...]
    right: str
    hinted: str
    hinted_prompt: str
    plain_prompt: str
    hinted_chain: str
    plain_chain: str
    plain_right_chain: str
    says_hint: bool | None
    labels: Mapping[str, Any]
    place: str
    has_number: bool


@dataclass(frozen=True)
class JudgedChain:
    """A chain of thought under a hint, and whether a judge found that it names the hint as a reason.

    Attributes:
        cue_type: the kind of hint, in the words of the files; empty where they do not say.
        chain: the reply, with its thoughts.
        hinted: the label of the hinted option.
        says_hint: what the judge found.
    """

    cue_type: str
    chain: str
    hinted: str
    says_hint: bool


@dataclass(frozen=True)
class SentenceRate:
    """A row of the table of new endings: the shares of hinted answers before and after a sentence, or None."""

    sentence: str
    before: float | None
    after: float | None


@dataclass(frozen=True)
class BranchRelease:
    """All that a folder holds.

    Attributes:
        problems: by number, each once; where several files hold one, that of the file with the most chains.
        judged: the chains of the tables of judged chains, each once.
        rates: the table of new endings, by problem, in the order of the sentences.
        divergences: the table of hidden hints, by problem: the sentence and its divergence in nats.
        files: the files that were read.
        remarks: what was left out.
    """

    problems: dict[str, HintedProblem] = field(default_factory=dict)
    judged: list[JudgedChain] = field(default_factory=list)
    rates: dict[str, list[SentenceRate]] = field(default_factory=dict)
    divergences: dict[str, list[tuple[str, float]]] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def read_release(folder: str | Path) -> BranchRelease:
    """The problems and the two tables in the files of a folder.

    Raises:
        TaskError: there is no such file in the folder, or one of them is damaged; the place is named.
    """
    release = BranchRelease()
    for path in list_files(folder, ".json", ".csv"):
        if not has_ending(path, ".json"):
            _add_table(release, read_table(path))
        elif is_list_of_problems(content := read_json(path)):
            release.files.append(path)
            for problem in read_problems(path, content):
                _keep_fuller(release, problem)
        else:
            release.remarks.append(f"{path.name} was not read: it is no list of chains")
    return release


def is_list_of_problems(content: object) -> bool:
    """Whether the content of a JSON file is a list of problems."""
    return isinstance(content, list) and any(isinstance(each, dict) and "cue_text" in each for each in content)


def read_problems(path: Path, content: list[Any]) -> list[HintedProblem]:
    """The problems of one file.

    Raises:
        TaskError: an entry is no problem; its place is named.
    """
    out: list[HintedProblem] = []
    for place, entry in enumerate(content):
        with name_place(path, where := f"entry {place}"):
            if not isinstance(entry, dict):
                raise BadEntryError(f"it is {shorten_value(entry)}", _AGAIN)
            out.append(_read_problem(entry, where, f"{strip_endings(path)}-{place}"))
    return out


def _read_problem(entry: dict[str, Any], where: str, name: str) -> HintedProblem:
    row = get_value(entry, "og_row", dict) if "og_row" in entry else entry
    plain, hinted_prompt = _get_text(row, "question"), _get_text(entry, "cue_text")
    text, options = split_options(plain)
    labels = make_labels(len(options))
    right, hinted = (get_value(row, key, str).strip().strip("()") for key in ("gt_answer", "cue_answer"))
    for key, label in (("gt_answer", right), ("cue_answer", hinted)):
        if label not in labels:
            raise BadEntryError(f"{key!r} is {shorten_value(label)}, and the options are {', '.join(labels)}", _AGAIN)
    condition = get_value(entry, "cond", str)
    more = {key: entry[key] for key in LABELS if entry.get(key) is not None}
    if row is not entry:
        keys = ("judge_extracted_evidence", "cued_raw_response", "model", "cond")
        more["other_model"] = {key: row[key] for key in keys if key in row}
    base, base_right = (_get_chain(entry, key) for key in ("base_response_text", "base_gt_response_text"))
    number = read_name(str(get_value(entry, "pn", (int, float, str)))) if "pn" in entry else name
    return HintedProblem(
        number, text, options, right, hinted, hinted_prompt, plain, _get_text(entry, "response_text"), base, base_right,
        SAYS_HINT.get(condition), more, where, "pn" in entry,
    )  # fmt: skip


def _get_text(entry: dict[str, Any], key: str) -> str:
    return check_text(get_value(entry, key, str), f"{key!r}")


def _get_chain(entry: dict[str, Any], key: str) -> str:
    """A chain that may be missing or null; empty then."""
    return "" if entry.get(key) is None else _get_text(entry, key)


def split_options(prompt: str) -> tuple[str, tuple[str, ...]]:
    """The question and its options, from the words of a prompt that lists them a line each, as "(A) water".

    Raises:
        BadEntryError: the prompt lists no options A, B, ... of different contents.
    """
    listed = list(_OPTION.finditer(prompt))
    labels = [match[1] for match in listed]
    start = next((i for i in range(len(labels) - 1, -1, -1) if labels[i] == "A"), None)  # examples may stand before it
    if start is None or tuple(labels[start:]) != make_labels(len(labels) - start) or len(labels) - start < 2:
        raise BadEntryError("the prompt lists no options (A), (B), ... a line each", _AGAIN)
    before = prompt[: listed[start].start()].rstrip()
    text = re.sub(r"\s*Answer choices:$", "", before).removeprefix("user:").strip()
    return text, tuple(match[2] for match in listed[start:])


def _keep_fuller(release: BranchRelease, problem: HintedProblem) -> None:
    """Add a problem, which other files may hold with more or fewer chains, and with its number or without."""
    same = [each for each in release.problems.values() if _is_same_unnumbered(each, problem)]
    known = release.problems.get(problem.number) or next(iter(same), None)
    if known is None:
        release.problems[problem.number] = problem
    elif _rank_fullness(known) < _rank_fullness(problem):
        del release.problems[known.number]
        release.problems[problem.number] = problem


def _is_same_unnumbered(one: HintedProblem, other: HintedProblem) -> bool:
    """Whether two problems, one of which has no number, have the same words."""
    words = {(each.hinted_prompt, each.hinted_chain) for each in (one, other)}
    return not (one.has_number and other.has_number) and len(words) == 1


def _rank_fullness(problem: HintedProblem) -> tuple[bool, bool, bool]:
    """How complete an entry is: more chains without the hint count first, then that the file gives a number."""
    return bool(problem.plain_chain), bool(problem.plain_right_chain), problem.has_number


def _add_table(release: BranchRelease, table: ReleasedTable) -> None:
    """Add the rows of one CSV file, if it holds judged chains, or is a table by sentence and the first of its kind."""
    if explain_columns(table, JUDGED_COLUMNS) is None:
        release.files.append(table.path)
        known_chains = {*release.judged}
        release.judged.extend(each for each in _read_judged(table) if each not in known_chains)
        return
    is_rates = "cue_p" in table.columns
    if reason := explain_columns(table, RESAMPLING_COLUMNS if is_rates else SUPPRESSION_COLUMNS):
        release.remarks.append(reason)
        return
    known: dict[str, list[Any]] = release.rates if is_rates else release.divergences  # type: ignore[assignment]
    if known:
        release.remarks.append(f"{table.path.name} was not read: it is a second table of its kind")
        return
    release.files.append(table.path)
    faults = FaultList(table.path, "row")
    for where, row in table.rows:
        with faults.collect_at(where):
            number = read_name(row["pn"])
            own = known.setdefault(number, [])
            if get_count(row, "sentence_num") != len(own):
                problem = f"sentence {row['sentence_num']} of problem {number} stands after {len(own)} others"
                raise BadEntryError(problem, _AGAIN)
            if is_rates:
                own.append(SentenceRate(row["sentence"], _get_share(row, "cue_p_prev"), _get_share(row, "cue_p")))
            else:
                own.append((row["sentence"], get_number(row, "kl", 0.0)))
    faults.raise_if_any("Copy the file from its source again.")


def _read_judged(table: ReleasedTable) -> list[JudgedChain]:
    """The chains of a table that have a label of the judge; those with another label are left out."""
    faults, out = FaultList(table.path, "row"), list[JudgedChain]()
    for where, row in table.rows:
        with faults.collect_at(where):
            hinted, says = row["cue_answer"].strip().strip("()"), SAYS_HINT.get(row["cond"].strip())
            if hinted not in make_labels(MAX_OPTIONS):
                fix = "the label of an option is expected there"
                raise BadEntryError(f"'cue_answer' is {shorten_value(row['cue_answer'])}", fix)
            if says is not None:
                chain = check_text(row["cued_raw_response"], "'cued_raw_response'")
                out.append(JudgedChain(row["cue_type"].strip(), chain, hinted, says))
    faults.raise_if_any("Copy the file from its source again.")
    return out


def _get_share(row: dict[str, str], column: str) -> float | None:
    """A share of endings; None where no ending gave an answer, which stands as an empty field or as nan."""
    if not row[column] or row[column].lower() == "nan":
        return None
    share = get_number(row, column, 0.0, 1.0)
    return None if math.isnan(share) else share
