"""What the page says of a model and task before any chain is opened: verdict, gates, numbers, what is not known.

A `ReportedSubject` holds the entry of verdict.json and the rows of the run's tables that belong to it. A page holds the
subjects of one run or of several.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import pandas as pd

from faithlens.figures.hint_paths import HintAssay
from faithlens.measures.catalogue import list_measures
from faithlens.report.chains import NOT_READ, count_lost_chains, select_subject
from faithlens.report.terminal import group_by_truth
from faithlens.stats.estimate import select_scalars
from faithlens.store import READERS_NAME, SCHEMAS, Run

TABLES = ("traces", "scores", "answers", "edits", "estimates")
MAX_KEY_NUMBERS = 3


@dataclass(frozen=True)
class ReportedSubject:
    """One model on one task, in one run.

    Attributes:
        entry: its entry of verdict.json.
        tables: by name, its rows of `TABLES`.
        origin: what made the run (`Run.origin`).
        run: the name of the run's folder.
        is_finished: False while the run is being written; there is no verdict then.
    """

    entry: Mapping[str, Any]
    tables: Mapping[str, pd.DataFrame]
    origin: Mapping[str, Any]
    run: str
    is_finished: bool = True

    @property
    def key(self) -> tuple[str, str, str]:
        """Run, model and task, which name it on a page."""
        return self.run, self.entry["model"], self.entry["task"]

    @property
    def estimates(self) -> dict[str, dict[str, Any]]:
        """Its estimates that are no curve and no step, by measure; None stands for missing."""
        scalar = select_scalars(self.tables["estimates"])
        scalar = scalar.astype(object).where(scalar.notna(), None)
        return {row["measure"]: {str(k): v for k, v in row.items()} for row in scalar.to_dict("records")}

    def list_key_numbers(self) -> list[dict[str, Any]]:
        """The two or three numbers to know first: those of the terminal's summary that were measured."""
        known = self.estimates
        places = ["mediation.content_share", *(measure.name for measure in list_measures(place="terminal"))]
        rows = [known[name] for name in dict.fromkeys(places) if known.get(name, {}).get("value") is not None]
        return rows[:MAX_KEY_NUMBERS]

    def list_unknowns(self) -> Iterator[str]:
        """What this run does not say, in sentences."""
        if not self.is_finished:
            yield "The run is still being written. There is a verdict when all questions are scored."
        needed = self.entry["questions_needed"]
        if needed is not None:
            yield f"About {needed} questions would be needed to decide, if the numbers stay as they are."
        if self.entry.get("partly_edited"):
            n = self.entry["partly_edited"]
            yield f"Of {n} long chains only some steps were edited (--points), drawn at random."
        few: dict[tuple[int, float], list[Mapping[str, Any]]] = {}
        for gate in self.entry["gates"]:
            if gate["status"] in NOT_READ:
                why = gate["reason"] or "the run has none of its measures"
                yield f"{gate['asks']} ({gate['gate']}: {gate['status']}; {why})"
            elif gate["n_open"] and gate["gate"] != "capable":
                yield f"{gate['asks']} ({gate['gate']}: open on {gate['n_open']} of {gate['n_asked']} questions)"
            elif gate["status"] == "open" and gate["high"] is not None:
                few.setdefault((gate["n_asked"], gate["high"]), []).append(gate)
        for (n, most), gates in few.items():
            if len(gates) == 1:
                words = f"{gates[0]['asks']} ({gates[0]['gate']}: open;"
                yield f"{words} after {n} questions, up to {100 * most:.0f} % may fail it)"
            else:
                names = ", ".join(gate["gate"] for gate in gates)
                yield f"Too few questions for {names}: after {n}, up to {100 * most:.0f} % may fail each of them."
        for reason, n in count_lost_chains(self.entry, self.tables).items():
            yield f"{n} {'chain' if n == 1 else 'chains'} could not be used: {reason}."
        broken = int((self.tables["traces"]["finish"] == "length").sum())
        if broken:
            words = "chain was" if broken == 1 else "chains were"
            yield f"{broken} {words} cut off at the token limit (--max-new-tokens)."


def read_subjects(run: Run, name: str | None = None) -> list[ReportedSubject]:
    """The models and tasks of a finished run, those whose truth is known first.

    Raises:
        RunError: the run is not finished, or a file was changed.
    """
    return make_subjects(run, run.read_json("verdict.json")["subjects"], read_tables(run), name)


def make_subjects(
    run: Run,
    entries: Sequence[Mapping[str, Any]],
    tables: Mapping[str, pd.DataFrame],
    name: str | None = None,
    is_finished: bool = True,
) -> list[ReportedSubject]:
    """The subjects of `entries`, each with its rows of `tables`; `name` is that of the run on the page."""
    ordered = [entry for group in group_by_truth(entries).values() for entry in group]
    return [
        ReportedSubject(
            entry,
            {table: select_subject(entry, rows) for table, rows in tables.items()},
            run.origin,
            name or run.path.name,
            is_finished,
        )
        for entry in ordered
    ]


def read_tables(run: Run) -> dict[str, pd.DataFrame]:
    """The tables of a run by name; without rows where nothing was written of one.

    Of `drafts`, only the texts under hints are kept, which the table of their switches shows. `cells` is the same table
    by the readers of `faithlens judge`, where they have read the run.
    """
    tables = {
        name: run.read(name) if run.has_table(name) else pd.DataFrame(columns=SCHEMAS[name].names) for name in TABLES
    }
    assays = tables["scores"]["measure"].map(lambda measure: str(measure).partition(".")[0])
    names = tables["scores"].loc[assays.isin(get_args(HintAssay)), "condition"].unique()
    if len(names) and run.has_table("drafts"):
        drafts = run.drafts[["model", "task", "question", "sample", "name", "text"]]
        tables["drafts"] = drafts[drafts["name"].isin(names)]
    if READERS_NAME in run.files and (cells := run.read_json(READERS_NAME)["cells"]):
        tables["cells"] = pd.DataFrame(cells)
    return tables


def name_subjects(subjects: Sequence[ReportedSubject]) -> list[str]:
    """A short name for each: the model, with the task and the run where these are needed to tell subjects apart."""
    models = Counter(subject.entry["model"] for subject in subjects)
    pairs = Counter((subject.entry["model"], subject.entry["task"]) for subject in subjects)
    names: list[str] = []
    for subject in subjects:
        model, task = subject.entry["model"], subject.entry["task"]
        parts = [model]
        if models[model] > 1 and any(s.entry["model"] == model and s.entry["task"] != task for s in subjects):
            parts.append(task)
        if pairs[model, task] > 1:
            parts.append(subject.run)
        names.append(", ".join(parts))
    return names
