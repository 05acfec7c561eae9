"""The two tables of a sweep, with the columns that `faithlens.stats.scaling` takes.

Both have one row per measure. `estimate_size_effects` takes the rows of one family and measure,
``table[(table.family == f) & (table.measure == m)]``, of the measurements and of the items of the last checkpoints.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd
from scipy.special import softmax

from faithlens.commands.sweep.config import Member
from faithlens.commands.sweep.trial import Trial
from faithlens.stats.estimate import select_scalars
from faithlens.store import Run

FULL_ACCURACY, DIRECT_ACCURACY = "accuracy.full", "accuracy.no_cot"
ACCURACY_COLUMNS = {"accuracy": FULL_ACCURACY, "without": DIRECT_ACCURACY}

MEMBER_COLUMNS = ["family", "model", "revision", "checkpoint", "seed", "size"]
MEASUREMENT_COLUMNS = [
    *MEMBER_COLUMNS, "loss", "task",
    *(f"{name}{part}" for name in ACCURACY_COLUMNS for part in ("", "_se", "_low", "_high")),
    "measure", "value", "se", "low", "high", "n_used", "n_dropped", "unit", "method", "reason",
]  # fmt: skip
ITEM_COLUMNS = [
    *MEMBER_COLUMNS,
    "task",
    "question",
    "right",
    "correct",
    "confidence",
    "measure",
    "value",
    "unit",
    "reason",
]
TEXT_COLUMNS = {"family", "model", "revision", "task", "question", "measure", "unit", "method", "reason"}
COUNT_COLUMNS = {"checkpoint", "seed", "size", "n_used", "n_dropped"}


def build_measurements(
    members: Sequence[Member], trials: Mapping[str, Trial], runs: Mapping[str, Run], measures: Sequence[str]
) -> pd.DataFrame:
    """One row for each model x task x scalar measure.

    The columns are `MEASUREMENT_COLUMNS`, without loss if none was measured: `accuracy` is with the chain of thought,
    `without` is asked directly; se is the standard error over questions, None where a number is made of several
    measures.

    Args:
        members: the models.
        trials: the results of trying them out, by model.
        runs: finished audits, by model.
        measures: the measures that have a row with the reason for each task that was left out.
    """
    rows = [
        {**_describe_member(member, trials), **row}
        for member in members
        for row in (
            *(_list_measurements(runs[member.model]) if member.model in runs else ()),
            *(
                {"task": task, "measure": measure, "n_used": 0, "n_dropped": 0, "reason": reason}
                for task, reason in trials[member.model].refused.items()
                for measure in measures
            ),
        )
    ]
    table = _build_table(rows, MEASUREMENT_COLUMNS)
    return table if table["loss"].notna().any() else table.drop(columns="loss")


def build_items(
    members: Sequence[Member], trials: Mapping[str, Trial], runs: Mapping[str, Run], measures: Sequence[str]
) -> pd.DataFrame:
    """One row for each model x task x question x measure of `measures` with scores by question; chains are averaged.

    The columns are `ITEM_COLUMNS`: `right` is with the chain of thought; `correct` and `confidence` are of the question
    asked directly, `confidence` being the probability of the given answer among the options.
    """
    rows = [
        {**_describe_member(member, trials), **row}
        for member in members
        if member.model in runs
        for row in _list_items(runs[member.model], measures)
    ]
    return _build_table(rows, ITEM_COLUMNS)


def _describe_member(member: Member, trials: Mapping[str, Trial]) -> dict[str, object]:
    trial = trials[member.model]
    known = asdict(member) | {"size": trial.parameters, "loss": trial.loss}
    return {name: known[name] for name in (*MEMBER_COLUMNS, "loss")}


def _build_table(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> pd.DataFrame:
    types = {
        name: "object" if name in TEXT_COLUMNS else "int64" if name in COUNT_COLUMNS else "float64" for name in columns
    }
    return pd.DataFrame(rows, columns=list(columns)).astype(types)


def _list_measurements(run: Run) -> Iterator[dict[str, object]]:
    """One row for each task and scalar measure of one run."""
    by_question = _average_by_question(run.read("scores"))
    errors = by_question.groupby(["task", "measure"])["value"].sem()
    table = select_scalars(run.read("estimates"))
    for task, own in table.groupby("task"):
        known = own.set_index("measure")
        context = {
            f"{name}{part}": known.at[measure, column] if column else errors.get((task, measure))
            for name, measure in ACCURACY_COLUMNS.items()
            for part, column in (("", "value"), ("_se", ""), ("_low", "low"), ("_high", "high"))
        }
        for row in own.to_dict("records"):
            numbers = {name: row[name] for name in MEASUREMENT_COLUMNS if name in row and name not in MEMBER_COLUMNS}
            yield {**context, **numbers, "se": errors.get((task, row["measure"]))}


def _list_items(run: Run, measures: Sequence[str]) -> Iterator[dict[str, object]]:
    """One row for each task, question and measure of one run."""
    scores = _average_by_question(run.read("scores"))
    answered = scores[scores["measure"].isin(ACCURACY_COLUMNS.values())]
    wide = answered.pivot(index=["task", "question"], columns="measure", values="value")
    sure = _compute_confidence(run.read("answers"))
    for row in scores[scores["measure"].isin(measures)].to_dict("records"):
        at = (row["task"], row["question"])
        right, correct = (wide[name].get(at) for name in (FULL_ACCURACY, DIRECT_ACCURACY))
        yield {**{str(k): v for k, v in row.items()}, "right": right, "correct": correct, "confidence": sure.get(at)}


def _average_by_question(scores: pd.DataFrame) -> pd.DataFrame:
    """Scalar scores averaged over a question's chains: columns task, measure, question, value, unit, reason."""
    groups = select_scalars(scores).groupby(["task", "measure", "question"], sort=True)
    means = groups.agg(value=("value", "mean"), unit=("unit", "first"), reason=("reason", "first")).reset_index()
    return means.assign(reason=means["reason"].where(means["value"].isna(), None))


def _compute_confidence(answers: pd.DataFrame) -> "pd.Series[float]":
    """The probability, among the options, of the answer given directly, by task and question."""
    direct = answers[answers["condition"] == "no_cot"]
    surest = [float(softmax(np.asarray(logprobs, float)).max()) for logprobs in direct["logprobs"]]
    return direct.assign(confidence=surest).groupby(["task", "question"])["confidence"].mean()
