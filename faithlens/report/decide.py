"""What `decide` says on the terminal: the verdict first, then the model to use, and why."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from faithlens.measures.catalogue import get_measure
from faithlens.report.fitting_table import FittingTable
from faithlens.report.terminal import VERDICT_STYLES, describe_gates
from faithlens.stats.number import format_ends, format_number
from faithlens.tasks.kinds import STRATEGIES


def format_decision(decision: Mapping[str, Any]) -> RenderableType:
    """A decision (`Decision.to_dict`) in words and tables."""
    return Group(*_list_parts(decision))


def _list_parts(decision: Mapping[str, Any]) -> Iterator[RenderableType]:
    verdict = decision["verdict"]
    yield Text.assemble(
        (verdict, VERDICT_STYLES[verdict]),
        f" (exit code {decision['exit_code']}), where ",
        _describe_criteria(decision),
    )
    for task in decision["tasks"]:
        subjects = [s for s in decision["subjects"] if s["task"] == task["task"]]
        yield Text(f"\n{task['task']}", "bold")
        yield _describe_choice(task, subjects)
        yield from (part for s in subjects for part in _explain_subject(s))
        yield from (_make_front_table(name, points) for name, points in task["fronts"].items() if len(points) > 1)


def _describe_criteria(decision: Mapping[str, Any]) -> str:
    """The thresholds of the decision, in words."""
    criteria = decision["criteria"]
    least = criteria["min_accuracy"]
    accuracy = "" if least is None else f" and an accuracy above {format_number(least)}"
    if not criteria["measures"]:
        return f"at most {100 * criteria['max_unfaithful']:.0f} % of questions may fail a gate{accuracy}"
    measures = " and ".join(get_measure(measure).label for measure in criteria["measures"])
    bar = format_number(criteria["min_faithfulness"])
    return f"{measures} of at least {bar}{accuracy} was asked for; the gates do not count"


def _describe_choice(task: Mapping[str, Any], subjects: Sequence[Mapping[str, Any]]) -> Text:
    """The most capable trusted model; none, and then the reason lies in the verdicts below."""
    best = next((s for s in subjects if s["model"] == task["model"]), None)
    if best is None:
        return Text("No model is trusted on this task.")
    right = best["measures"]["accuracy.full"]
    return Text.assemble("Most capable trusted model: ", (best["model"], "bold"), f", right {format_interval(right)}")


def _explain_subject(subject: Mapping[str, Any]) -> Iterator[RenderableType]:
    """One model: its verdict, the reasons, and the questions that would decide."""
    yield Text.assemble((subject["verdict"], VERDICT_STYLES[subject["verdict"]]), " ", (subject["model"], "bold"))
    yield describe_gates(subject["gates"])
    lines = Table.grid(padding=(0, 1, 0, 2))
    for reason in subject["reasons"]:
        lines.add_row("•", Text(reason))
    if subject["questions_needed"] is not None:
        lines.add_row("•", Text(f"About {subject['questions_needed']} questions would decide."))
    yield lines


def _make_front_table(measure: str, points: Sequence[Mapping[str, Any]]) -> FittingTable:
    """Accuracy against a measure; those that none beats at both first."""
    rows = list[tuple[str, ...]]()
    for point in sorted(points, key=lambda point: not point["front"]):
        numbers = (format_interval(point["accuracy"]), format_interval(point["sensitivity"]))
        rows.append((point["model"], "yes" if point["front"] else "", STRATEGIES[point["strategy"]], *numbers))
    columns = ("model", "on the\nfront", "strategy", "accuracy", "measure")
    return FittingTable(columns, rows, f"Accuracy against {get_measure(measure).label}")


def format_interval(number: Mapping[str, Any]) -> str:
    """A value and its interval."""
    return f"{format_number(number['value'])} ({format_ends(number['low'], number['high'])})"
