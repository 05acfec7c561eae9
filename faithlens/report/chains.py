"""Every chain of a run as plain data for the page: its text, what its steps do, its edits, answers and gates.

1. `collect_chains` reads the tables of one model and task and makes one `ChainEntry` for each trace.
2. Names that recur (conditions, measures) are numbered once for the whole page by `Names`.
3. `reconcile` adds the sentence that says how the effects of the steps and the word of the verdict are both true.

Probabilities are kept in thousandths. For example, with the candidates 3, 4 and 5, the row ``[7, 12, 0, 988]`` says
that under condition 7 the probabilities of the answers are .012, 0 and .988.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from faithlens.console import shorten_line
from faithlens.gates.outcome import Outcome, join_gates, read_scores
from faithlens.gates.profile import judge_chains
from faithlens.measures.answers import option_probabilities
from faithlens.measures.catalogue import GateName, get_measure
from faithlens.report.conditions import order_condition
from faithlens.stats.estimate import select_scalars
from faithlens.stats.grid import find_cells
from faithlens.stats.number import format_number

SHADE_MEASURES = ("knockout.step_raw", "mistakes.soft", "mistakes_regenerated.soft", "deletion.soft")
"""What can colour the steps, the first that a chain has by default; measures of single steps come after these."""
NOT_READ = ("not tested", "not askable")
"""The states of a gate that judged no question."""
ANSWER_STATES = {
    "right": "answer right",
    "wrong": "answer wrong",
    "unknown": "right answer not known",
    "missing": "no answer read",
}
"""What can be said of the answer after a chain. A question without a known right answer is neither right nor wrong."""
SMALL = 0.1
"""A movement of the answer's probability below this is called small."""
SNIPPET = 140
"""Characters of a question that the list shows."""
NUMBER_WIDTH = 12
"""Digits of a number in a name by which chains are sorted."""

Key = tuple[str, int]
"""A question and the number of its chain."""


@dataclass
class Names:
    """The names that recur on a page, numbered in the order in which they first occur."""

    numbers: dict[str, int] = field(default_factory=dict[str, int])

    def number(self, name: str) -> int:
        """The number of `name`; a new name gets the next one."""
        return self.numbers.setdefault(name, len(self.numbers))


@dataclass(frozen=True)
class ChainEntry:
    """One chain of thought.

    Attributes:
        line: what the list of chains shows and filters by.
        detail: all that the page shows of it when it is opened.
    """

    line: dict[str, Any]
    detail: dict[str, Any]


def collect_chains(
    subject: Mapping[str, Any], tables: Mapping[str, pd.DataFrame], conditions: Names, measures: Names
) -> list[ChainEntry]:
    """Every chain of one model and task, by the names of the questions, in which 9 comes before 10.

    Args:
        subject: its entry of verdict.json.
        tables: the tables "traces", "scores", "answers" and "edits" of the run; only the first two must have rows.
        conditions, measures: the numbered names of the page, to which those of the chains are added.
    """
    own = {name: select_subject(subject, table) for name, table in tables.items()}
    scores, traces = own["scores"], own["traces"].sort_values(["question", "sample"], key=_pad_numbers)
    outcomes = judge_chains(read_scores(scores, traces))
    read = {gate["gate"] for gate in subject["gates"] if gate["status"] not in NOT_READ} - {"capable"}
    tested: dict[GateName, list[Outcome]] = {gate: some for gate, some in outcomes.items() if gate in read}
    joined = {(each.question, each.sample): each.outcome for each in join_gates(tested)}
    by_gate = {gate: {(each.question, each.sample): each for each in some} for gate, some in outcomes.items()}
    cells = dict(find_cells(scores)[["question", "cell"]].itertuples(index=False, name=None))
    answers, edits = _group_rows(own["answers"]), _group_rows(own["edits"])
    effects = _collect_effects(scores)
    numbers = _group_rows(_select_numbers(scores))
    prompts = [str(prompt) for prompt in traces["prompt"].unique()]
    start, end = _count_shared_start(prompts), _count_shared_end(prompts)
    chains: list[ChainEntry] = []
    for trace in _list_rows(traces):
        key = trace["question"], trace["sample"]
        steps = [str(step) for step in trace["steps"]]
        shades = {name: _fill_steps(values, len(steps)) for name, values in effects.get(key, {}).items()}
        shade = next((name for name in shades), None)
        gates = {gate: some[key] for gate, some in by_gate.items() if key in some}
        hidden = next((row["value"] for row in numbers.get(key, []) if row["measure"] == "knockout.steps"), None)
        line = {
            "question": key[0],
            "sample": key[1],
            "outcome": joined.get(key, "open"),
            "gates": {gate: _name_outcome(outcome) for gate, outcome in gates.items()},
            "cell": cells.get(key[0], "undefined"),
            "answer": judge_answer(trace["answer"], trace["predicted"]),
            "steps": len(steps),
            "effect": _find_largest(shades[shade]) if shade else None,
            "about": shorten_line(trace["prompt"][start : len(trace["prompt"]) - end], SNIPPET),
        }
        detail = {
            **{name: trace[name] for name in ("prompt", "stem", "said", "answer", "predicted", "finish", "n_tokens")},
            "counterfactual": trace["counterfactual"],
            "steps": steps,
            "candidates": [] if trace["candidates"] is None else [str(each) for each in trace["candidates"]],
            "answers": list(_make_answer_rows(answers.get(key, []), conditions)),
            "shades": {measures.number(name): values for name, values in shades.items()},
            "edits": [_make_edit(row, conditions) for row in edits.get(key, [])],
            "gates": [_make_gate(gate, outcome) for gate, outcome in gates.items()],
            "scores": [_make_score(row, measures) for row in numbers.get(key, [])],
            "sentence": reconcile(subject, shade, shades[shade] if shade else [], hidden),
        }
        chains.append(
            ChainEntry(line, {name: value for name, value in detail.items() if value not in (None, "", [], {})})
        )
    return chains


def reconcile(
    subject: Mapping[str, Any], shade: str | None, effects: Sequence[float | None], hidden: float | None
) -> str | None:
    """How the effects of single steps fit the word; None where they need no comment.

    Args:
        subject: the entry of verdict.json.
        shade: the measure of the effects.
        effects: the effect of each step.
        hidden: how far the answer moves when all steps are hidden from it.
    """
    known = [abs(effect) for effect in effects if effect is not None]
    failed = [gate["gate"] for gate in subject["gates"] if gate["status"] == "failed"]
    if not known or shade != "knockout.step_raw":
        return None
    most = format_number(max(known))
    if max(known) < SMALL:
        if hidden is not None and abs(hidden) >= SMALL:
            return (
                f"Hiding any one step moves the answer by at most {most}, and hiding all of them by "
                f"{format_number(hidden)}: the chain states what the answer needs more than once, so no single step is "
                "indispensable. This is no sign that the chain is not used."
            )
        if subject["verdict"] == "trust":
            return (
                f"Hiding steps from the answer moves it by at most {most} here: this model can also reach this answer "
                "without reading them. The word rests on exchanged and edited chains, which the answer follows."
            )
        return None
    if subject["verdict"] == "do-not-trust" and "causal" not in failed:
        names = ", ".join(failed) if failed else "several gates together"
        return (
            f"The answer does read these steps (hiding one moves it by up to {most}). What fails is another link: "
            f"{names}."
        )
    return None


def judge_answer(answer: str | None, predicted: str | None) -> str:
    """The key of `ANSWER_STATES` for a `predicted` answer; `answer` is the right one, empty where it is not known."""
    if not answer:
        return "unknown"
    if predicted is None:
        return "missing"
    return "right" if predicted == answer else "wrong"


def count_lost_chains(subject: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> dict[str, int]:
    """How many chains of a model and task could not be scored at all, by the reason."""
    scores, traces = (select_subject(subject, tables[name]) for name in ("scores", "traces"))
    used = {(row["question"], row["sample"]) for row in _list_rows(traces[["question", "sample"]])}
    reasons: dict[Key, str] = {}
    for row in _list_rows(scores.loc[scores["reason"].notna(), ["question", "sample", "reason"]]):
        if (key := (row["question"], row["sample"])) not in used:
            reasons.setdefault(key, row["reason"])
    return dict(Counter(reasons.values()).most_common())


def select_subject(subject: Mapping[str, Any], table: pd.DataFrame) -> pd.DataFrame:
    """The rows of one model and task, with a number in the column `sample`."""
    rows = table[(table["model"] == subject["model"]) & (table["task"] == subject["task"])]
    if "sample" not in rows:
        return rows.assign(sample=0)
    return rows.assign(sample=rows["sample"].fillna(0).astype(int))


def _pad_numbers(column: pd.Series) -> pd.Series:
    """A column to sort by: names in which each number has the same width, so that it sorts as a number."""
    return column.astype(str).str.replace(r"\d+", lambda number: number[0].zfill(NUMBER_WIDTH), regex=True)


def _list_rows(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The rows as dictionaries, None for what is missing."""
    plain = table.astype(object)
    for row in plain.where(plain.notna(), None).to_dict("records"):
        yield {str(name): value for name, value in row.items()}


def _group_rows(table: pd.DataFrame) -> dict[Key, list[dict[str, Any]]]:
    groups: dict[Key, list[dict[str, Any]]] = {}
    for row in _list_rows(table):
        groups.setdefault((row["question"], row["sample"]), []).append(row)
    return groups


def _collect_effects(scores: pd.DataFrame) -> dict[Key, dict[str, dict[int, float]]]:
    """For each chain and measure that can colour steps, the value at each step; 1 - value where a fall is an effect."""
    rows = scores[scores["step"].notna() & scores["value"].notna()]
    names = [name for name in rows["measure"].unique() if get_measure(name).shape == "step"]
    names = [*SHADE_MEASURES, *(name for name in names if name not in SHADE_MEASURES)]
    rows = rows[rows["measure"].isin(names)]
    means = rows.groupby(["question", "sample", "measure", "step"])["value"].mean().reset_index()
    effects: dict[Key, dict[str, dict[int, float]]] = {}
    for row in sorted(_list_rows(means), key=lambda row: names.index(row["measure"])):
        is_inverse = get_measure(row["measure"]).direction < 0
        at = effects.setdefault((row["question"], row["sample"]), {}).setdefault(row["measure"], {})
        at[int(row["step"])] = 1 - row["value"] if is_inverse else row["value"]
    return effects


def _fill_steps(values: Mapping[int, float], n_steps: int) -> list[float | None]:
    return [round(values[i], 3) if i in values else None for i in range(n_steps)]


def _find_largest(values: Sequence[float | None]) -> float | None:
    return max((value for value in values if value is not None), key=abs, default=None)


def _select_numbers(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores of whole chains, without those that are details."""
    scalars = select_scalars(scores[scores["step"].isna() & scores["fraction"].isna()])
    names = [name for name in scalars["measure"].unique() if not get_measure(name).is_detail]
    return scalars[scalars["measure"].isin([*names, "knockout.steps"])]


def _make_score(row: Mapping[str, Any], measures: Names) -> list[Any]:
    """Measure and value; measure, None and the reason where there is no value."""
    number = measures.number(row["measure"])
    return [number, None, row["reason"]] if row["value"] is None else [number, round(row["value"], 3)]


def _make_answer_rows(rows: Sequence[Mapping[str, Any]], conditions: Names) -> Iterator[list[Any]]:
    """A list for each condition: its number, then the probability of each option in thousandths."""
    for row in sorted(rows, key=lambda row: order_condition(row["condition"])):
        shares = option_probabilities(np.asarray(row["logprobs"], dtype=np.float64))
        yield [conditions.number(row["condition"]), *(round(1000 * share) for share in shares.tolist())]


def _make_edit(row: Mapping[str, Any], conditions: Names) -> dict[str, Any]:
    fields = ("step", "kind", "by", "after", "tail", "invalid", "implied", "answer", "outcome")
    edit = {name: row[name] for name in fields if row.get(name) not in (None, "")}
    return {**edit, "condition": conditions.number(row["condition"])} if row["condition"] else edit


def _make_gate(gate: str, outcome: Outcome) -> list[str]:
    return [gate, _name_outcome(outcome), outcome.reason]


def _name_outcome(outcome: Outcome) -> str:
    return outcome.outcome if outcome.is_askable else "not askable"


def _count_shared_start(prompts: Sequence[str], bracket: str = ">") -> int:
    """How many characters all prompts begin with, up to the end of a line or of a special token."""
    if len(prompts) < 2:
        return 0
    first, last = min(prompts), max(prompts)  # what these two begin with alike, all do
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return 1 + max(first.rfind("\n", 0, length), first.rfind(bracket, 0, length))


def _count_shared_end(prompts: Sequence[str]) -> int:
    """How many characters all prompts end with, from the end of a line or the start of a special token on."""
    return _count_shared_start([prompt[::-1] for prompt in prompts], bracket="<")
