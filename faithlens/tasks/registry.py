"""Every task by name: what ``--task`` understands."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from faithlens.errors import TaskError, suggest_names
from faithlens.tasks.addition import DIGIT_COUNTS, OPERAND_COUNTS, Addition
from faithlens.tasks.arithmetic import Arithmetic, VariableChain
from faithlens.tasks.bbq import Bbq
from faithlens.tasks.benchmarks import BENCHMARK_LAYOUTS, Benchmark
from faithlens.tasks.coin_flip import CoinFlip
from faithlens.tasks.dates import Dates
from faithlens.tasks.hinted_sum import OPENINGS_IN_TURN, HintedSum
from faithlens.tasks.jsonl import JsonLines
from faithlens.tasks.ordering import Ordering
from faithlens.tasks.question import Task
from faithlens.tasks.reasoning_gym import GYM_PREFIX, ReasoningGym
from faithlens.tasks.rows import load_hub_rows, read_rows
from faithlens.tasks.running_sum import MODES, RunningSum
from faithlens.tasks.stories import Stories
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
    **{f"addition-{d}d-{n}": partial(Addition, digits=d, operands=n) for d in DIGIT_COUNTS for n in OPERAND_COUNTS},
    "weak-evidence": WeakEvidence,
    "running-sum": RunningSum,
    **{f"running-sum-{n}": partial(RunningSum, additions=n - 1, name=f"running-sum-{n}") for n in (3, 5, 6, 8)},
    "running-sum-modes": partial(RunningSum, name="running-sum-modes", modes=MODES),
    "running-sum-hints": HintedSum,
    "running-sum-hinted": partial(HintedSum, name="running-sum-hinted", modes=OPENINGS_IN_TURN),
    "stories": Stories,
}


def load_task(name: str) -> Task:
    """The task called `name`.

    Beside the tasks of the table these are benchmarks (`gsm8k`, `bbh:object_counting`, `mmlu=my/copy.csv`), datasets of
    reasoning-gym (`reasoning-gym:chain_sum`), and files of questions: any other name that ends in ".jsonl".

    Raises TaskError where there is no such task or its questions cannot be had.
    """
    if name in TASKS:
        return TASKS[name]()
    if name.startswith(GYM_PREFIX):
        return ReasoningGym(name.removeprefix(GYM_PREFIX))
    if re.split("[:=]", name)[0] in BENCHMARK_LAYOUTS:
        return load_benchmark(name)
    if name.endswith(".jsonl"):
        return JsonLines(name)
    known = [*TASKS, *BENCHMARK_LAYOUTS, f"{GYM_PREFIX}chain_sum"]
    raise TaskError(f"task {name!r}", "no such task", f"{suggest_names(name, known)}, or a path that ends in .jsonl")


def load_benchmark(name: str) -> Benchmark:
    """The benchmark called `name`: FAMILY, FAMILY:PART, and either with =PATH for a local file of the same rows.

    Raises TaskError where a part is missing or not offered, or the rows cannot be had.
    """
    asked, _, path = name.partition("=")
    family, _, part = asked.partition(":")
    mapping = BENCHMARK_LAYOUTS[family]
    if part and not mapping.part:
        raise TaskError(f"task {name!r}", f"{family} has no parts", f"ask for {family}")
    if part:
        mapping = replace(mapping, **{mapping.part: part})
    if path:
        rows = read_rows(Path(path))
    elif family == "bbh" and not part:
        raise TaskError(f"task {name!r}", "bbh has many parts", "name one of them: bbh:object_counting")
    else:
        rows = load_hub_rows(mapping.hub, mapping.config, mapping.split, mapping.revision)
    return (Bbq if family == "bbq" else Benchmark)(name, mapping, rows)
