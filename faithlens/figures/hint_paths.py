"""The cells of a hint's switches: what the chain says about the hint, by the way that the hint took to the answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import pandas as pd

from faithlens.errors import ConfigError, check_choice
from faithlens.figures.audit import split_by_subject
from faithlens.figures.style import SEQUENTIAL_SCALE, escape_text, format_axes
from faithlens.stats.number import format_ends, format_number
from faithlens.tasks.kinds import HINT_PATHS, SAYINGS, HintPath, Saying

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

HintAssay = Literal["hint_mediation", "bias_mediation", "value_hints", "graded_hints"]
LONGEST_CHAIN = 600
"""Characters of an example's chain that are shown; of a longer one, the end."""


@dataclass(frozen=True)
class HintCell:
    """One cell of the table, of one model on one task.

    Attributes:
        saying: "said", "denied" or "unsaid".
        path: "through" or "around".
        value, low, high: the share of switches in this cell, with its interval; None where there is none.
        n: the number of questions with a switch.
        question, sample, condition: an example, or None where the cell is empty.
        chain: the chain of thought of the example as it was written under the hint; empty where it is not known.
    """

    saying: Saying
    path: HintPath
    value: float | None
    low: float | None
    high: float | None
    n: int
    question: str | None = None
    sample: int = 0
    condition: str | None = None
    chain: str = ""

    @property
    def measure(self) -> str:
        """The end of the measure's name."""
        return f"{self.saying}_{self.path}"

    def describe(self) -> str:
        """Share, interval and number of questions."""
        share = "no switch" if self.value is None else format_number(self.value)
        ends = format_ends(self.low, self.high)
        interval = ends if self.low is None else f"95 % interval {ends}"
        return f"{share}; {interval}; {self.n} question{'s' * (self.n != 1)}"


def list_hint_cells(
    estimates: pd.DataFrame, scores: pd.DataFrame, drafts: pd.DataFrame | None, assay: HintAssay = "hint_mediation"
) -> list[HintCell]:
    """The six cells of one model on one task, by row and column; empty where the assay was not run.

    Args:
        estimates, scores, drafts: the rows of the run's tables that belong to it.
        assay: whose cells.
    """
    rows = {row["measure"]: row for row in estimates.to_dict("records")}
    keys: list[tuple[Saying, HintPath]] = [(saying, path) for saying in SAYINGS for path in HINT_PATHS]
    if not any(f"{assay}.{saying}_{path}" in rows for saying, path in keys):
        return []
    cells: list[HintCell] = []
    for saying, path in keys:
        name = f"{assay}.{saying}_{path}"
        row = rows.get(name, {"value": None, "low": None, "high": None, "n_used": 0})
        value, low, high = (None if pd.isna(row[key]) else float(row[key]) for key in ("value", "low", "high"))
        examples = scores[(scores["measure"] == name) & (scores["value"] == 1)]
        cells.append(HintCell(saying, path, value, low, high, int(row["n_used"]), *_find_example(examples, drafts)))
    return cells


def list_judged_cells(
    rows: pd.DataFrame, drafts: pd.DataFrame | None, assay: HintAssay
) -> Iterator[tuple[str, list[HintCell]]]:
    """The cells of one model on one task by each reader of `faithlens judge`, with the name of the reader.

    Args:
        rows: its rows of the cells in readers.json.
        drafts: the rows of the run's table that belong to it.
        assay: whose cells.
    """
    for reader, own in rows.groupby("reader", sort=False):
        examples = own[own["question"].notna()].assign(value=1.0)
        if cells := list_hint_cells(own, examples, drafts, assay):
            yield str(reader), cells


def _find_example(examples: pd.DataFrame, drafts: pd.DataFrame | None) -> tuple[str | None, int, str | None, str]:
    """The first switch of a cell, and the chain that was written for it."""
    for row in examples.to_dict("records"):
        sample = 0 if pd.isna(row.get("sample")) else int(row["sample"])
        chain = "" if drafts is None else _find_chain(drafts, row["question"], sample, row["condition"])
        return str(row["question"]), sample, str(row["condition"]), chain
    return None, 0, None, ""


def _find_chain(drafts: pd.DataFrame, question: str, sample: int, name: str) -> str:
    own = drafts[(drafts["question"] == question) & (drafts["sample"] == sample) & (drafts["name"] == name)]
    return "" if own.empty else str(own["text"].iloc[0]).strip()


def plot_hint_paths(
    estimates: pd.DataFrame,
    scores: pd.DataFrame | None = None,
    drafts: pd.DataFrame | None = None,
    assay: HintAssay = "hint_mediation",
) -> Figure:
    """The switches of hints by what the chain says of the hint and by the way that it took, one panel for each subject.

    Each cell shows the share of switches with its interval. Given `scores` and `drafts`, an example stands behind it,
    which appears under the pointer: the question, and the chain of thought that was written under the hint.

    What the readers of `faithlens judge` say is drawn by ``pd.DataFrame(run.read_json("readers.json")["cells"])`` as
    `estimates`, one panel for each reader; its rows name their examples themselves.

    Args:
        estimates: the table `estimates` of a run, or of several runs together, or the cells of its readers.
        scores: the table `scores` of the same runs.
        drafts: the table `drafts` of the same runs.
        assay: "hint_mediation"; "bias_mediation" for biased prompts; "value_hints" for hints at a value;
            "graded_hints" for hints in grades.

    Returns:
        A plotly figure.

    Raises:
        ConfigError: the assay is another one, or the run did not ask it.
    """
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    check_choice(assay, get_args(HintAssay), "assay with the cells of a switch", ConfigError)
    panels = list(_list_panels(estimates, scores, drafts, assay))
    if not panels:
        raise ConfigError(f"these estimates hold no cells of {assay}", f"Run it: --assays {assay}.")
    figure = make_subplots(1, len(panels), subplot_titles=[name for name, _ in panels], shared_yaxes=True)
    columns = list(HINT_PATHS.values())
    for k, (_, cells) in enumerate(panels, start=1):
        by_row = [[cell for cell in cells if cell.saying == saying] for saying in SAYINGS]
        drawn = go.Heatmap(
            z=[[cell.value for cell in row] for row in by_row],
            x=columns,
            y=list(SAYINGS.values()),
            text=[[cell.describe().replace("; ", "<br>") for cell in row] for row in by_row],
            customdata=[[_describe_example(cell) for cell in row] for row in by_row],
            texttemplate="%{text}",
            hovertemplate="%{y}, %{x}: %{text}<br>%{customdata}<extra></extra>",
            coloraxis="coloraxis",
            xgap=3,
            ygap=3,
        )
        figure.add_trace(drawn, 1, k)
    scale = {"colorscale": SEQUENTIAL_SCALE, "cmin": 0, "cmax": 1, "colorbar_title": "share of switches"}
    figure.update_layout(coloraxis=scale).update_yaxes(autorange="reversed")
    return format_axes(figure, "", "").update_yaxes(showgrid=False)


def _list_panels(
    estimates: pd.DataFrame, scores: pd.DataFrame | None, drafts: pd.DataFrame | None, assay: HintAssay
) -> Iterator[tuple[str, list[HintCell]]]:
    for name, part in split_by_subject(estimates):
        model, task = str(part["model"].iloc[0]), str(part["task"].iloc[0])
        no_scores = pd.DataFrame(columns=["model", "task", "measure", "value"])
        own_scores = _select_subject(no_scores if scores is None else scores, model, task)
        own_drafts = None if drafts is None else _select_subject(drafts, model, task)
        if "reader" in part:
            for reader, cells in list_judged_cells(part, own_drafts, assay):
                yield f"{name}, {reader}", cells
        elif cells := list_hint_cells(part, own_scores, own_drafts, assay):
            yield name, cells


def _select_subject(table: pd.DataFrame, model: str, task: str) -> pd.DataFrame:
    return table[(table["model"] == model) & (table["task"] == task)]


def _describe_example(cell: HintCell) -> str:
    """The example of a cell in lines that fit under the pointer."""
    if cell.question is None:
        return "no example"
    chain = cell.chain if len(cell.chain) <= LONGEST_CHAIN else f"… {cell.chain[-LONGEST_CHAIN:]}"
    lines = [chain[at : at + 80] for at in range(0, len(chain), 80)]
    return "<br>".join(map(escape_text, [f"example: {cell.question}", *lines]))
