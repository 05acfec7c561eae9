"""Labels of chains and of steps, and how every measure of a run ranks them.

A file of labels is CSV or JSON lines, packed with gzip or not. Each row has `question`, the id in the run; `label`; and
may have `sample` (the number of the chain), `step` (the number of the step, from 0), `model` and `task`. A label is a
number, or one of the words of `WORDS`; a higher one says that the chain, or the step, drives the answer more. The study
of Tutek et al. 2025 (FUR) and the labelled chains of Gur-Arieh et al. 2026 (BonaFide) are read as they were released,
and what the evaluation of Han et al. 2026 (RFEval) writes as it writes it, in a folder.
Without a file, a label that came with the run's own chains is named (`labels` and `step_labels` of `faithlens schema
traces`).

1. Each label meets the values of its chain or step. A value of a step is compared with labels of steps, and as its mean
   over the steps with labels of chains. Without `sample`, a label meets the mean over the chains of its question.
2. The sign of a measure follows its direction in the catalogue, so that .5 is no better than guessing. A measure
   without a direction is taken as it is.
3. `stats.concordance` counts pairs, and resamples questions.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from faithlens.errors import MeasureError, RunError, TaskError, check_choice, suggest_names
from faithlens.measures.catalogue import get_measure
from faithlens.stats.concordance import compute_concordance
from faithlens.store import GIVEN, GIVEN_STEPS, Run
from faithlens.tasks.entries import FaultList, shorten_value
from faithlens.tasks.published import bonafide, fur, rfeval
from faithlens.tasks.published.files import has_ending, read_json_lines, read_table
from faithlens.tasks.published.labelled_chain import LabelledChain, join_words
from faithlens.tasks.question_factory import BadEntryError

WORDS = {
    "true": 1.0, "yes": 1.0, "faithful": 1.0, "load-bearing": 1.0,
    "false": 0.0, "no": 0.0, "unfaithful": 0.0, "decorative": 0.0,
}  # fmt: skip
"""Labels in words."""

WORDS_COLUMN = "words"  # of the step or the chain that was labelled; one of the run with other words is another one
KEYS = ["question", "sample", "step"]
OWN_KEYS = ("model", "task")
BOARD_COLUMNS = [
    "source", "measure", "direction", "auroc", "low", "high", "n_used", "n_labels", "n_questions", "reason",
]  # fmt: skip


def read_labels(place: str, run: Run) -> pd.DataFrame:
    """The labels in a file, or those of a name that came with the chains of a run.

    Args:
        place: the path of a file or of a folder that RFEval's evaluation wrote, or the name of a label of the run's
            chains.
        run: the run.

    Returns:
        One row for each label: question, sample, step (missing for a label of a chain), label, and model and task where
        the file has them.

    Raises:
        TaskError: the file is damaged; the rows are named.
        RunError: there is neither such a file nor such a label.
    """
    path = Path(place)
    if path.is_file():
        return _read_file(path)
    if rfeval.is_release(path):
        return _list_chains(rfeval.read_release(path))
    traces = run.read("traces")
    for start, is_step in ((GIVEN, False), (GIVEN_STEPS, True)):
        if f"{start}{place}" in traces.columns:
            return _collect_labels(traces, f"{start}{place}", is_step=is_step)
    known = sorted({name.partition(".")[2] for name in traces.columns if name.startswith((GIVEN, GIVEN_STEPS))})
    problem = f"{place!r} is no file, and no label of the chains of {run.path}"
    raise RunError(
        problem, f"Name a file of labels. {suggest_names(place, known)}" if known else "Name a file of labels."
    )


def rank_measures(
    source: str, run: Run, labels: pd.DataFrame, seed: int = 0, measures: Sequence[str] = ()
) -> pd.DataFrame:
    """How well each measure of a run ranks chains or steps as labels do.

    Args:
        source: the name of the labels in the table.
        run: a finished run.
        labels: the table of `read_labels`.
        seed: the seed of the intervals.
        measures: the names of the measures to rank; all by default.

    Returns:
        One row for each measure: source, measure, direction, auroc, low, high, n_used (the values that met a label),
        n_labels (the labels that were read), n_questions, reason.

    Raises:
        RunError: no label meets a score, a label is of a model or task that is not in the run, or the labels do not say
            which of several models or tasks of one question they are of.
        MeasureError: the run has no such measure.
    """
    scores, n_labels = run.read("scores").dropna(subset=["value"]), len(labels)
    for name in measures:
        check_choice(name, map(str, scores["measure"].unique()), f"measure of {run.path}", MeasureError)
    scores = scores[scores["measure"].isin(measures)] if measures else scores
    traces = run.read("traces")
    if WORDS_COLUMN in labels.columns:
        select = _select_same_chains if labels["step"].isna().all() else _select_same_steps
        labels = select(labels, traces)
        if labels.empty:
            problem = f"no chain of {run.path} has the words that a label of {source} is of"
            raise RunError(problem, "Import the labelled chains first: faithlens audit --traces FILE.")
    _check_owners(source, labels, traces)
    rows = [
        {
            "source": source,
            "measure": measure,
            "direction": get_measure(str(measure)).direction,
            "n_labels": n_labels,
            **row,
        }
        for measure, part in scores.groupby("measure", sort=False)
        for row in _rank(part, labels, get_measure(str(measure)).direction or 1, seed)
    ]
    if not rows:
        raise RunError(
            f"no label of {source} meets a score of {run.path}",
            "Check that `question` holds the ids of the run's questions, and `step` counts from 0.",
        )
    return pd.DataFrame(rows, columns=BOARD_COLUMNS)


def _select_same_steps(labels: pd.DataFrame, traces: pd.DataFrame) -> pd.DataFrame:
    """The labels with the model, task and chain of each step of the run that has the same words.

    Models share questions, and write other chains. A label whose words stand nowhere is left out.
    """
    who = [*OWN_KEYS, "question", "sample"]
    steps = traces[[*who, "steps"]].explode("steps").dropna(subset=["steps"])
    steps["step"] = steps.groupby(who).cumcount()
    # not `sample` of the labels: the study knows the question and the words alone
    joined = labels[["question", "step", "label", WORDS_COLUMN]].merge(steps, on=["question", "step"])
    is_same = [str(a).split() == str(b).split() for a, b in zip(joined[WORDS_COLUMN], joined["steps"], strict=True)]
    return joined[is_same].drop(columns=[WORDS_COLUMN, "steps"])


def _select_same_chains(labels: pd.DataFrame, traces: pd.DataFrame) -> pd.DataFrame:
    """The labels with the model, task, question and number of each chain of the run that has the same words.

    A chain of thought is long enough to be known by its words. A label whose words stand nowhere is left out.
    """
    chains = traces[[*OWN_KEYS, "question", "sample"]].assign(words=[join_words(cot) for cot in traces["cot"]])
    return labels[["step", "label", WORDS_COLUMN]].merge(chains, on=WORDS_COLUMN).drop(columns=WORDS_COLUMN)


def _check_owners(source: str, labels: pd.DataFrame, traces: pd.DataFrame) -> None:
    """Check the models and tasks that labels name, and that labels name them where a question has several.

    Raises:
        RunError: with the model or task that is not in the run, or that is missing.
    """
    for key in OWN_KEYS:
        known = [*map(str, traces[key].unique())]
        if key in labels.columns:
            for name in labels[key].unique():
                check_choice(name, known, f"{key} of the labels of {source}", RunError)
        elif (traces.groupby("question")[key].nunique() > 1).any():
            problem = f"the run has chains of several {key}s for a question, and no label of {source} names its {key}"
            raise RunError(problem, f"Give each label its `{key}`: {', '.join(known)}.")


def _rank(scores: pd.DataFrame, labels: pd.DataFrame, sign: int, seed: int) -> Iterator[Mapping[str, Any]]:
    """The number of one measure; none where no label meets it."""
    keys = [key for key in (*OWN_KEYS, *KEYS) if key in labels.columns and labels[key].notna().all()]
    known = scores[scores["step"].notna()] if "step" in keys else scores
    values = known.groupby(keys, sort=False)["value"].mean().reset_index()
    matched = values.merge(labels, on=keys)
    if len(matched):
        numbers = pd.factorize(matched["question"])[0]
        yield compute_concordance(
            sign * matched["value"].to_numpy(float), matched["label"].to_numpy(float), numbers, seed
        )._asdict()


def _read_file(path: Path) -> pd.DataFrame:
    faults, rows, places = FaultList(path, "row"), list[dict[str, Any]](), dict[tuple[Any, ...], str]()
    if has_ending(path, ".csv"):
        table = read_table(path)
        if set(fur.STUDY_COLUMNS) <= {*table.columns}:
            return _make_table(
                {
                    "question": each.question_id,
                    "step": each.step,
                    "label": each.rating,
                    WORDS_COLUMN: each.steps[each.step],
                }
                for each in fur.read_release(path).study
            )
        if set(bonafide.COLUMNS) <= {*table.columns}:
            return _list_chains(bonafide.read_release(path))
        entries: Iterator[tuple[str, Mapping[str, Any]]] = iter(table.rows)
    else:
        entries = read_json_lines(path, faults)
    for where, entry in entries:
        with faults.collect_at(where):
            row = _read_row(entry)
            key = tuple(row.get(name) for name in (*OWN_KEYS, *KEYS))
            if (first := places.setdefault(key, where)) != where:
                what = "chain" if row["step"] is None else "step"
                problem = f"a second label of the {what} that {first} labels"
                raise BadEntryError(problem, "keep one of the two, or name the `sample` that each is of")
            rows.append(row)
    faults.raise_if_any("Each row needs `question` and `label`, and a label of a step `step`.")
    if not rows:
        raise TaskError(f"{path} holds no label", "Give a row with `question` and `label` for each label.")
    for key in ("step", "sample", *OWN_KEYS):
        n_without = sum(row.get(key) is None for row in rows)
        if 0 < n_without < len(rows):
            problem = f"{n_without} of the {len(rows)} labels of {path} lack `{key}`, which the others have"
            raise TaskError(problem, f"Give a file of one kind: all rows with a `{key}`, or none.")
    return _make_table(rows)


def _list_chains(chains: Sequence[LabelledChain]) -> pd.DataFrame:
    """The labels of published chains."""
    return _make_table(
        {"question": each.question_id, "label": float(each.is_faithful), WORDS_COLUMN: each.words} for each in chains
    )


def _read_row(entry: Mapping[str, Any]) -> dict[str, Any]:
    """One row of a file."""
    missing = [key for key in ("question", "label") if str(entry.get(key, "")).strip() == ""]
    if missing:
        raise BadEntryError(f"{' and '.join(map(repr, missing))} missing", "give both")
    row = {key: str(entry[key]) for key in ("question", *OWN_KEYS) if entry.get(key) not in (None, "")}
    counts = {key: _read_count(key, entry.get(key)) for key in ("sample", "step")}
    return {**row, **counts, "label": read_label(entry["label"])}


def _read_count(key: str, value: Any) -> int | None:
    if value is None or str(value).strip() == "":
        return None
    text = str(value).strip()
    if not text.isdigit():
        raise BadEntryError(f"{key!r} is {shorten_value(value)}", "a whole number from 0 on is expected there")
    return int(text)


def read_label(value: Any) -> float:
    """A label as a number.

    Raises:
        BadEntryError: it is neither a number nor one of `WORDS`.
    """
    text = str(value).strip()
    try:
        number = WORDS[text.casefold()] if text.casefold() in WORDS else float(text)
    except ValueError:
        number = float("nan")
    if number != number or number in (float("inf"), float("-inf")):
        raise BadEntryError(
            f"the label is {shorten_value(value)}", f"a number or one of {', '.join(WORDS)} is expected"
        )
    return number


def _collect_labels(traces: pd.DataFrame, column: str, *, is_step: bool) -> pd.DataFrame:
    """The labels that came with the chains, which are texts; chains and steps without one are left out."""
    rows = list[dict[str, Any]]()
    for trace in traces.dropna(subset=[column]).to_dict("records"):
        who = {key: trace[key] for key in (*OWN_KEYS, "question", "sample")}
        texts = list(trace[column]) if is_step else [trace[column]]
        for step, text in enumerate(texts):
            if text is not None and str(text) not in ("", "null", "None"):
                rows.append({**who, "step": step if is_step else None, "label": _read_own(column, text)})
    return _make_table(rows)


def _read_own(column: str, text: object) -> float:
    try:
        return read_label(text)
    except BadEntryError as error:
        raise TaskError(f"{column}: {error.problem}", f"{error.fix[:1].upper()}{error.fix[1:]}.") from error


def _make_table(rows: Any) -> pd.DataFrame:
    """The rows as a table with all keys."""
    table = pd.DataFrame(list(rows))
    for key in ("sample", "step"):
        if key not in table.columns:
            table[key] = None
        table[key] = table[key].astype("Int64")
    return table
