"""Chains of planted models with a slip: one step states a wrong total, and what follows carries it on or mends it."""

from faithlens.interventions.case import Case
from faithlens.model.model import Model
from faithlens.tasks.question import Task
from faithlens.tasks.running_sum import compute_totals, read_operands, write_steps
from tests.assays.scripted import case_of


def draw_slips(model: Model, task: Task, step: int, n: int, *, is_mended: bool = False) -> list[Case]:
    """Cases whose chain states at `step` three more than it should."""
    cases = []
    for question in task.draw_questions(n, 5):
        operands = read_operands(question)
        wrong = [
            (total + 3 * (i == step if is_mended else i >= step)) % 10
            for i, total in enumerate(compute_totals(operands))
        ]
        cases.append(case_of(task, question, write_steps(operands, wrong), model))
    return cases
