"""Every task by name: what ``--task`` understands."""

from collections.abc import Callable
from functools import partial

from faithlens.errors import TaskError, nearest
from faithlens.tasks.addition import DIGITS, OPERANDS, Addition
from faithlens.tasks.arithmetic import Arithmetic, VariableChain
from faithlens.tasks.coin_flip import CoinFlip
from faithlens.tasks.dates import Dates
from faithlens.tasks.jsonl import JsonLines
from faithlens.tasks.ordering import Ordering
from faithlens.tasks.question import Task
from faithlens.tasks.running_sum import MODES, RunningSum
from faithlens.tasks.tracking import Tracking
from faithlens.tasks.weak_evidence import WeakEvidence

TASKS: dict[str, Callable[[], Task]] = {
    "arithmetic": Arithmetic,
    "arithmetic-2": partial(Arithmetic, steps=2),
    "arithmetic-4": partial(Arithmetic, steps=4),
    "arithmetic-mc": partial(Arithmetic, form="choice"),
    "arithmetic-mc-2": partial(Arithmetic, steps=2, form="choice"),
    "arithmetic-mc-4": partial(Arithmetic, steps=4, form="choice"),
    "variable-chain": VariableChain,
    "variable-chain-mc": partial(VariableChain, form="choice"),
    "ordering": Ordering,
    "ordering-4": partial(Ordering, people=4),
    "ordering-5": partial(Ordering, people=5),
    "coin-flip": CoinFlip,
    **{f"coin-flip-{n}": partial(CoinFlip, people=n) for n in (2, 3, 5, 6, 7, 8)},
    "tracking": Tracking,
    "tracking-4": partial(Tracking, people=4),
    "tracking-5": partial(Tracking, people=5),
    "dates": Dates,
    **{f"addition-{d}d-{n}": partial(Addition, digits=d, operands=n) for d in DIGITS for n in OPERANDS},
    "weak-evidence": WeakEvidence,
    "running-sum": RunningSum,
    "running-sum-modes": partial(RunningSum, name="running-sum-modes", modes=MODES),
}


def task(name: str) -> Task:
    """The task called `name`; a name that ends in ".jsonl" is a file of questions.

    Raises TaskError where there is no such task or the file cannot be used.
    """
    if name.endswith(".jsonl"):
        return JsonLines(name)
    if name not in TASKS:
        raise TaskError(f"task {name!r}", "no such task", f"{nearest(name, TASKS)}, or a path that ends in .jsonl")
    return TASKS[name]()
