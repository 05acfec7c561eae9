"""The figures of the page: which numbers each shows, and the words around it. `charts` draws them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from faithlens.figures.audit import EFFECT_MEASURES
from faithlens.figures.behaviour import RETENTION_MEASURES
from faithlens.figures.hint_paths import HintAssay, list_hint_cells, list_judged_cells
from faithlens.measures.catalogue import get_measure
from faithlens.report.cell_chart import draw_cells
from faithlens.report.charts import Mark, Series, draw_curves, draw_rows
from faithlens.report.subjects import ReportedSubject
from faithlens.stats.measured_curve import find_measured_points
from faithlens.tasks.kinds import REASONING_STRATEGIES, SENSITIVITIES, STRATEGIES

MAX_ROWS = 12
"""More steps than this are drawn as a curve over the number of the step."""
POINTS_NOTE = (
    "Each point is a mean over the questions that were edited there, with its 95 % interval. Lines only join the "
    "points."
)


@dataclass(frozen=True)
class Picture:
    """One figure with its title and caption."""

    name: str
    title: str
    caption: str
    drawing: Markup


def draw_pictures(
    subjects: Sequence[ReportedSubject],
    names: Sequence[str],
    places: Sequence[Mapping[tuple[str, int], int]] | None = None,
) -> list[Picture]:
    """The figures that have something to show.

    Args:
        subjects: the models and tasks of the page.
        names: what the legends call them.
        places: for each of them, the number on the page of the chain of each question and sample.
    """
    pairs = list(zip(names, subjects, strict=True))
    pictures = [
        Picture(
            "early",
            "Cut short",
            "Answers already final when only the first steps are kept. A low line means that the steps are still "
            "needed. The dotted bars left of 0 show what the accuracies with and without the chain allow at an empty "
            "chain. " + POINTS_NOTE,
            _draw_retention(pairs, "early_answering.retention", "share of the steps kept", with_bounds=True),
        ),
        Picture(
            "mistakes",
            "One step made wrong",
            "Answers that stay when the step at this point is replaced by a wrong one and the rest is kept. A low line "
            "means that the model follows the mistake. " + POINTS_NOTE,
            _draw_retention(pairs, "mistakes.retention", "where the wrong step stands"),
        ),
        Picture(
            "mediation",
            "What moves the answer",
            "Fall of the answer's probability when the question, the chain or both come from a counterfactual question "
            "with another answer, and when steps or question are hidden from the answer.",
            draw_rows(
                [_make_effects(name, each) for name, each in pairs], "What moves the answer", "fall of the probability"
            ),
        ),
        Picture(
            "attention",
            "Where the answer looks",
            "Attention from the answer to each part, mean over layers and heads. This describes; it does not show what "
            "decides.",
            _draw_attention(pairs),
        ),
        *_draw_hint_paths(pairs, places or [{} for _ in pairs]),
        *_draw_tests(pairs),
        Picture(
            "strategies",
            "Ways to reason",
            "How often each way to reason is right, and how often its answer changes when steps are cut off or one "
            "step is made wrong. Wrong answers change more easily, and factored answers depend on the sub-answers "
            "partly by construction.",
            draw_rows([_make_strategies(name, each) for name, each in pairs], "Ways to reason", "share of questions"),
        ),
    ]
    return [picture for picture in pictures if picture.drawing]


def _draw_retention(
    pairs: Sequence[tuple[str, ReportedSubject]], measure: str, x_label: str, with_bounds: bool = False
) -> Markup:
    series = [_make_curve(name, each, measure, with_bounds) for name, each in pairs]
    return draw_curves(series, get_measure(measure).label, x_label, "same answer")


def _make_curve(name: str, subject: ReportedSubject, measure: str, with_bounds: bool = False) -> Series:
    points = find_measured_points(subject.tables["scores"], measure, subject.origin["seed"])
    marks = [Mark(p.x, p.value, p.low, p.high, p.n, measure, f"at {p.x:.0%} of the steps") for p in points]
    return Series(name, marks, _find_bounds(subject) if with_bounds and marks and marks[0].x == 0 else None)


def _find_bounds(subject: ReportedSubject) -> tuple[float, float] | None:
    """The share of unchanged answers that the accuracies allow at an empty chain: one less the bounds on changes."""
    ends = [subject.estimates.get(f"bound.change_{end}", {}).get("value") for end in ("high", "low")]
    low, high = ends
    return None if low is None or high is None else (1 - low, 1 - high)


def _draw_tests(pairs: Sequence[tuple[str, ReportedSubject]]) -> Iterator[Picture]:
    """For each model, the share of unchanged answers in each test that has a curve; nothing for the standard tests."""
    caption = (
        "Each test's share of unchanged answers along the chain of thought: a step, or all steps from there on, cut, "
        "replaced or deleted. " + POINTS_NOTE
    )
    for k, (name, subject) in enumerate(pairs):
        series = [_make_curve(get_measure(test).label, subject, test) for test in RETENTION_MEASURES]
        series = [each for each in series if each.marks]
        if {each.marks[0].measure for each in series} - {"early_answering.retention", "mistakes.retention"}:
            title = f"Answers that stay: {name}"
            yield Picture(f"tests-{k}", title, caption, draw_curves(series, title, "share of the steps", "same answer"))


def _draw_hint_paths(
    pairs: Sequence[tuple[str, ReportedSubject]], places: Sequence[Mapping[tuple[str, int], int]]
) -> Iterator[Picture]:
    """For each model whose answers hints or biases switch, the table of these switches."""
    caption = (
        "Of the switches of an answer to the option or value that a {what} points to, the share in each cell, with its "
        "95 % interval. Through the chain: the chain written under the {what} brings the same answer under the plain "
        "prompt. Around it: the {what} must be in the prompt. What is not named and acts through the chain is a "
        "rationalisation. A cell leads to an example."
    )
    kinds: dict[HintAssay, str] = {
        "hint_mediation": "hint",
        "bias_mediation": "bias",
        "value_hints": "hint at a value",
        "graded_hints": "graded hint",
    }
    for k, ((name, subject), own) in enumerate(zip(pairs, places, strict=True)):
        tables = subject.tables
        for assay, what in kinds.items():
            cells = list_hint_cells(tables["estimates"], tables["scores"], tables.get("drafts"), assay)
            if any(cell.value is not None for cell in cells):
                title = f"Said or unsaid, through the chain or around it ({what}): {name}"
                drawing = draw_cells(cells, assay, title, own)
                yield Picture(f"{assay}-{k}", title, caption.format(what=what), drawing)
            judged = list_judged_cells(tables["cells"], tables.get("drafts"), assay) if "cells" in tables else ()
            for i, (reader, cells) in enumerate(judged):
                title = f"Said or unsaid as read by {reader}, through the chain or around it ({what}): {name}"
                words = f"{caption.format(what=what)} Switches that were left open widen the intervals."
                yield Picture(f"{assay}-{k}-{i}", title, words, draw_cells(cells, assay, title, own))


def _make_effects(name: str, subject: ReportedSubject) -> Series:
    known = subject.estimates
    return Series(name, [_make_mark(known[m], get_measure(m).label) for m in EFFECT_MEASURES if _has_value(known, m)])


def _make_strategies(name: str, subject: ReportedSubject) -> Series:
    known = subject.estimates
    rows = {
        f"strategies.{strategy}.{number}": f"{STRATEGIES[strategy]}: {label}"
        for number, label in {"accuracy": "right", **SENSITIVITIES}.items()
        for strategy in (STRATEGIES if number == "accuracy" else REASONING_STRATEGIES)
    }
    return Series(name, [_make_mark(known[m], label) for m, label in rows.items() if _has_value(known, m)])


def _draw_attention(pairs: Sequence[tuple[str, ReportedSubject]]) -> Markup:
    """A row for the prompt and each step; a curve over the steps where there are many."""
    series: list[Series] = []
    for name, subject in pairs:
        table = subject.tables["estimates"]
        rows = table[(table["measure"] == "attention.span") & table["value"].notna()]
        rows = rows.astype(object).where(rows.notna(), None).sort_values("step", na_position="first")
        marks = [_make_mark(row, _name_span(row["step"])) for row in rows.to_dict("records")]
        series.append(Series(name, marks))
    title = "Where the answer looks"
    if max((len(each.marks) for each in series), default=0) <= MAX_ROWS:
        return draw_rows(series, title, "share of attention")
    steps = [Series(each.name, [_move_to_step(mark) for mark in each.marks if mark.x != "prompt"]) for each in series]
    return draw_curves(steps, title, "number of the step", "share of attention")


def _name_span(step: int | None) -> str:
    return "prompt" if step is None else f"step {step + 1}"


def _move_to_step(mark: Mark) -> Mark:
    number = float(str(mark.x).removeprefix("step "))
    return Mark(number, mark.value, mark.low, mark.high, mark.n, mark.measure, mark.where)


def _make_mark(row: dict[Any, Any], where: str) -> Mark:
    return Mark(where, row["value"], row["low"], row["high"], row["n_used"], row["measure"], where)


def _has_value(known: dict[str, dict[str, Any]], measure: str) -> bool:
    return known.get(measure, {}).get("value") is not None
