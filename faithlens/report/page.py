"""The report: one self-contained HTML file, made from a run folder alone. No model, no network."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from faithlens.figures import audit, behaviour
from faithlens.measures.catalogue import MEASURES, Measure, get_measure, list_measures
from faithlens.report.behaviour import list_tests
from faithlens.report.chains import choose_example, list_gate_examples
from faithlens.report.terminal import group_by_truth
from faithlens.stats.estimate import select_scalars
from faithlens.stats.number import format_ends, format_number
from faithlens.stats.remarks import CELL_MEANINGS
from faithlens.store import REPORT_NAME, Run


def write_page(run: Run) -> Path:
    """Write DIR/report.html and return its path. Raises RunError where the run is not finished."""
    from plotly.offline import get_plotlyjs

    verdicts = run.read_json("verdict.json")["subjects"]
    tables = {name: run.read(name) for name in ("traces", "scores", "estimates")}
    numbers = _collect_numbers(tables["estimates"])
    html = (
        _make_environment()
        .get_template("page.html.j2")
        .render(
            plotly=Markup(get_plotlyjs()),
            manifest=run.origin,
            groups=group_by_truth(verdicts),
            subjects=[s for group in group_by_truth(verdicts).values() for s in group],
            headline=list_measures(place="report"),
            measures=_measures(tables["estimates"]),
            meaning=CELL_MEANINGS,
            figures=_draw_figures(verdicts, tables["estimates"]),
            estimates=numbers,
            tests={key: list_tests(own) for key, own in numbers.items()} if has_other_tests(numbers) else {},
            examples=[choose_example(s, tables["traces"], tables["scores"]) for s in verdicts],
            gate_examples={(s["model"], s["task"]): list_gate_examples(s, tables["traces"]) for s in verdicts},
        )
    )
    run.write_text(REPORT_NAME, html)
    return run.path / REPORT_NAME


def has_other_tests(numbers: Mapping[tuple[str, str], Mapping[str, Any]]) -> bool:
    """Whether tests were run that the suite `standard` lacks, and so the table at the top too."""
    standard = {measure.heading for measure in list_measures(suite="standard")}
    return any(set(list_tests(own)) - standard for own in numbers.values())


def _measures(estimates: pd.DataFrame) -> list[Measure]:
    """The measures that were estimated, in the order of the catalogue."""
    known = set(estimates["measure"])
    return [measure for name, measure in MEASURES.items() if name in known]


def _make_environment() -> Environment:
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(plain=format_number, label=lambda name: get_measure(name).label)
    environment.globals["ends"] = format_ends
    return environment


def _draw_figures(subjects: Sequence[Mapping[str, Any]], estimates: pd.DataFrame) -> dict[str, Markup]:
    """The figures that have something to show, as HTML that needs the one plotly script of the page."""
    known = set(estimates.loc[estimates["value"].notna(), "measure"])
    ordered = _order_estimates(subjects, estimates)
    drawn = {"grid": audit.plot_decision_grid(subjects)}
    if "early_answering.retention" in known:
        drawn["early"] = audit.plot_early_answering(ordered)
    if {"early_answering_filled.retention", "mistakes_regenerated.retention"} & known:
        drawn["tests"] = behaviour.plot_retention_curves(ordered)
    if "mistakes.retention" in known:
        drawn["mistakes"] = audit.plot_mistakes(ordered)
    if known & set(audit.EFFECT_MEASURES):
        drawn["mediation"] = audit.plot_mediation(ordered)
    if "attention.span" in known:
        drawn["attention"] = audit.plot_attention_by_step(ordered)
    if any(measure.startswith("strategies.") for measure in known):
        drawn["strategies"] = behaviour.plot_strategies(ordered)
    config = {"responsive": True, "displayModeBar": False}
    return {
        name: Markup(figure.to_html(full_html=False, include_plotlyjs=False, config=config, div_id=f"figure-{name}"))
        for name, figure in drawn.items()
    }


def _order_estimates(subjects: Sequence[Mapping[str, Any]], estimates: pd.DataFrame) -> pd.DataFrame:
    """Estimates in the order in which the page names the subjects, so that colours follow it."""
    groups = dict(list(estimates.groupby(["model", "task"])))
    order = [(s["model"], s["task"]) for group in group_by_truth(subjects).values() for s in group]
    return pd.concat([groups[key] for key in order if key in groups])


def _collect_numbers(estimates: pd.DataFrame) -> dict[tuple[str, str], dict[str, Any]]:
    """All estimates that are no curve and no step, by (model, task) and measure; None stands for missing."""
    scalar = select_scalars(estimates)
    scalar = scalar.astype(object).where(scalar.notna(), None)
    return {
        (str(model), str(task)): {row["measure"]: row for row in part.to_dict("records")}
        for (model, task), part in scalar.groupby(["model", "task"])
    }
