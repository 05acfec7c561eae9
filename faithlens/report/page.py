"""The report: one self-contained HTML file, made from a run folder alone. No model, no network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from faithlens.figures import audit, behaviour
from faithlens.measures.catalogue import MEASURES, Measure, get_measure, list_measures
from faithlens.report.behaviour import tests
from faithlens.report.terminal import by_truth
from faithlens.stats.estimate import scalars
from faithlens.stats.verdict import MEANING, plain
from faithlens.store import Run

REPORT = "report.html"

SHADES = ("knockout.step_raw", "mistakes.soft")
"""What colours the steps of an example: the first of these that its question has."""


def page(run: Run) -> Path:
    """Write DIR/report.html and return its path. Raises RunError where the run is not finished."""
    from plotly.offline import get_plotlyjs

    verdicts = run.read_json("verdict.json")["subjects"]
    tables = {name: run.read(name) for name in ("traces", "scores", "estimates")}
    numbers = _numbers(tables["estimates"])
    html = (
        _environment()
        .get_template("page.html.j2")
        .render(
            plotly=Markup(get_plotlyjs()),
            manifest=run.manifest,
            groups=by_truth(verdicts),
            subjects=[s for group in by_truth(verdicts).values() for s in group],
            headline=list_measures(place="report"),
            measures=_measures(tables["estimates"]),
            meaning=MEANING,
            figures=_figures(verdicts, tables["estimates"]),
            estimates=numbers,
            tests={key: tests(own) for key, own in numbers.items()} if beyond_standard(numbers) else {},
            examples=[_example(s, tables["traces"], tables["scores"]) for s in verdicts],
        )
    )
    run.write_text(REPORT, html)
    return run.path / REPORT


def beyond_standard(numbers: Mapping[tuple[str, str], Mapping[str, Any]]) -> bool:
    """Whether tests were run that the suite `standard` lacks, and so the table at the top too."""
    standard = {measure.heading for measure in list_measures(suite="standard")}
    return any(set(tests(own)) - standard for own in numbers.values())


def _measures(estimates: pd.DataFrame) -> list[Measure]:
    """The measures that were estimated, in the order of the catalogue."""
    known = set(estimates["measure"])
    return [measure for name, measure in MEASURES.items() if name in known]


def _environment() -> Environment:
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(plain=plain, label=lambda name: get_measure(name).label)
    return environment


def _figures(subjects: Sequence[Mapping[str, Any]], estimates: pd.DataFrame) -> dict[str, Markup]:
    """The figures that have something to show, as HTML that needs the one plotly script of the page."""
    known = set(estimates.loc[estimates["value"].notna(), "measure"])
    ordered = _in_order(subjects, estimates)
    drawn = {"grid": audit.decision_grid(subjects)}
    if "early_answering.retention" in known:
        drawn["early"] = audit.early_answering(ordered)
    if {"early_answering_filled.retention", "mistakes_regenerated.retention"} & known:
        drawn["tests"] = behaviour.curves(ordered)
    if "mistakes.retention" in known:
        drawn["mistakes"] = audit.mistakes(ordered)
    if known & set(audit.EFFECTS):
        drawn["mediation"] = audit.mediation(ordered)
    if "attention.span" in known:
        drawn["attention"] = audit.attention_by_step(ordered)
    if any(measure.startswith("strategies.") for measure in known):
        drawn["strategies"] = behaviour.strategies(ordered)
    config = {"responsive": True, "displayModeBar": False}
    return {
        name: Markup(figure.to_html(full_html=False, include_plotlyjs=False, config=config, div_id=f"figure-{name}"))
        for name, figure in drawn.items()
    }


def _in_order(subjects: Sequence[Mapping[str, Any]], estimates: pd.DataFrame) -> pd.DataFrame:
    """Estimates in the order in which the page names the subjects, so that colours follow it."""
    groups = dict(list(estimates.groupby(["model", "task"])))
    order = [(s["model"], s["task"]) for group in by_truth(subjects).values() for s in group]
    return pd.concat([groups[key] for key in order if key in groups])


def _numbers(estimates: pd.DataFrame) -> dict[tuple[str, str], dict[str, Any]]:
    """All estimates that are no curve and no step, by (model, task) and measure; None stands for missing."""
    scalar = scalars(estimates)
    scalar = scalar.astype(object).where(scalar.notna(), None)
    return {
        (str(model), str(task)): {row["measure"]: row for row in part.to_dict("records")}
        for (model, task), part in scalar.groupby(["model", "task"])
    }


def _example(subject: Mapping[str, Any], traces: pd.DataFrame, scores: pd.DataFrame) -> dict[str, Any] | None:
    """The subject's first trace, its steps with the number that colours them."""
    mine = traces[(traces["model"] == subject["model"]) & (traces["task"] == subject["task"])]
    if mine.empty:
        return None
    trace = mine.iloc[0]
    keys = ("model", "task", "question")
    own = scores[(scores[list(keys)] == trace[list(keys)]).all(axis=1) & scores["step"].notna()]
    shade = next((m for m in SHADES if own.loc[own["measure"] == m, "value"].notna().any()), None)
    effects = own[own["measure"] == shade].groupby("step")["value"].mean().to_dict() if shade else {}
    if shade and get_measure(shade).direction < 0:
        effects = {step: 1 - value for step, value in effects.items()}
    steps = [{"text": text, "effect": _number(effects.get(i))} for i, text in enumerate(trace["steps"])]
    return {"subject": subject, "trace": trace.to_dict(), "steps": steps, "shade": shade}


def _number(x: float | None) -> float | None:
    return None if x is None or pd.isna(x) else float(x)
