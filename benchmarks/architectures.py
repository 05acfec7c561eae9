"""Which architectures of transformers are exact, packed and separate? A tiny random model of each is run.

1. `make_tiny_config` makes a small config of every causal text architecture (`tiny_models`).
2. `compare_backends` runs a truncated chain by each backend, and by plain transformers, one forward for each option.
   Where a backend is exact, `describe_abilities` tries edits, captures and gradients (`architecture_edits`).
3. Each architecture runs in a process of its own, with a limit of time and memory.
4. The table is written to docs/architectures.md.

Run ``python -m benchmarks.architectures`` for all, or name some: ``python -m benchmarks.architectures llama gemma3``;
then the table is printed only. For example, of OPT, whose knockouts TransformerLens loses:
``| opt | exact, 0e+00 | exact, 0e+00 | yes; yes, refused: knockout | yes; yes | yes; yes |``.
"""

import multiprocessing
import os
import random
import resource
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
import transformer_lens  # noqa: F401  imported here once, not in every process
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
from transformers.utils import logging

from benchmarks.architecture_edits import EXACT, describe_abilities
from benchmarks.tiny_models import make_tiny_model
from faithlens.errors import FaithlensError
from faithlens.execution.execute import execute
from faithlens.execution.options import BACKENDS
from faithlens.model.model import Model
from faithlens.model.trace import Piece
from faithlens.plan.condition import Condition
from faithlens.plan.memory import plan_passes

PAGE = Path(__file__).parents[1] / "docs" / "architectures.md"
SECONDS, BYTES = 240, 10 << 30  # limits of one architecture
NOTHING = "-; -"


@dataclass(frozen=True)
class Row:
    """One row of the table: what each backend gave, in words, or why no tiny model could be made.

    Edits, captures and gradients are words for "packed", and after a semicolon those for "separate".
    """

    architecture: str
    packed: str
    separate: str
    edits: str = NOTHING
    captures: str = NOTHING
    gradients: str = NOTHING

    @property
    def cells(self) -> tuple[str, ...]:
        """All but the name."""
        return self.packed, self.separate, self.edits, self.captures, self.gradients

    @property
    def is_silently_wrong(self) -> bool:
        """Whether a backend gave numbers that are not those of plain transformers, or an error that is not ours."""
        return any("WRONG" in each or each.startswith("foreign") or ", foreign" in each for each in self.cells)

    def __str__(self) -> str:
        return f"| {self.architecture} | {' | '.join(self.cells)} |".replace("<", "&lt;")


def make_conditions() -> list[Condition]:
    """A chain of random tokens and its truncations: 94 to 27 tokens, with options of one and two tokens."""
    rng = random.Random(0)

    def draw(n: int) -> tuple[int, ...]:
        return tuple(rng.randrange(2, 258) for _ in range(n))

    prompt, stem, options = Piece("prompt", draw(24)), Piece("stem", draw(3)), (draw(1), draw(1), draw(2))
    steps = [Piece(f"step {i}", draw(n)) for i, n in enumerate((9, 7, 11, 40))]
    return [Condition(f"cut@{k}", (prompt, *steps[:k], stem), options) for k in (4, 3, 2, 1, 0)]


@torch.inference_mode()
def answer_plainly(model: Model, condition: Condition) -> torch.Tensor:
    """The log-probabilities of the options by transformers alone."""
    out = []
    for option in condition.options:
        ids = torch.tensor([condition.ids + option[:-1]], device=model.device)
        logits = model.hf_model(input_ids=ids, use_cache=False).logits[0, len(condition.ids) - 1 :]
        out.append(logits.float().log_softmax(-1)[range(len(option)), list(option)].sum())
    return torch.stack(out)


def compare_backends(kind: str) -> Row:
    """Run the architecture `kind` by each backend, and say how far it is from plain transformers."""
    doing = "cannot be built by transformers"
    try:
        model, conditions = make_tiny_model(kind), make_conditions()
        doing = "cannot be run by transformers"
        plain = [answer_plainly(model, condition) for condition in conditions]
    except Exception as error:  # noqa: BLE001  no model, so there is nothing to compare
        words = f"{doing}: {shorten(error)}"
        return Row(kind, words, words)
    answers = [describe_backend(model, conditions, plain, backend) for backend in BACKENDS]
    able = [
        describe_abilities(model, backend) if backend_answers.startswith("exact") else ("-",) * 3
        for backend, backend_answers in zip(BACKENDS, answers, strict=True)
    ]
    return Row(kind, *answers, *map("; ".join, zip(*able, strict=True)))


def describe_backend(model: Model, conditions: list[Condition], plain: list[torch.Tensor], backend: Any) -> str:
    """What a backend gives, in words."""
    try:
        records = execute(model, plan_passes(model, conditions), backend=backend)
    except FaithlensError as error:
        return f"refused: {error.problem}"
    except Exception as error:  # noqa: BLE001  what must not reach a user
        return f"foreign {shorten(error)}"
    gap = max(float((r.logprobs - p).abs().max()) for r, p in zip(records, plain, strict=True))
    return f"{'exact' if gap < EXACT else 'WRONG'}, {gap:.0e}"


def shorten(error: Exception) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"


def run_architecture(kind: str) -> Row:
    """`compare_backends` in a process of its own, within the limits of time and memory."""
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()

    def work() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
        logging.set_verbosity_error()
        torch.set_num_threads(1)
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115  the process ends
        queue.put(compare_backends(kind))

    process = context.Process(target=work)
    process.start()
    process.join(SECONDS)
    if process.is_alive():
        process.kill()
    if queue.empty():
        words = f"not run: the process ended or took more than {SECONDS} s"
        return Row(kind, words, words)
    return queue.get()


def run_architectures(kinds: list[str]) -> Iterator[Row]:
    """Run architectures one after the other, printing each row."""
    for kind in kinds:
        row = run_architecture(kind)
        print(row, flush=True)
        yield row


def write_page(rows: list[Row]) -> str:
    """The page docs/architectures.md."""
    either = sum(row.packed.startswith("exact") or row.separate.startswith("exact") for row in rows)
    words = [
        f"{count(rows, 'packed', 'exact')} of {len(rows)} architectures are exact packed,"
        f" {count(rows, 'separate', 'exact')} separate, and {either} by one of the two.",
        f"{sum(row.is_silently_wrong for row in rows)} give wrong numbers or an error that is not of faithlens.",
        f"{count(rows, 'packed', 'cannot')} cannot be built or run by transformers itself, which says why;"
        f" {count(rows, 'packed', 'not run')} were not run.",
    ]
    return "\n".join(
        [
            "# Architectures",
            "",
            "Every causal text architecture of transformers, as a tiny random model in float32: a chain of thought and",
            "its truncations of 27 to 94 tokens, beyond its windows. *Exact*: no log-probability",
            f"differs from plain transformers by {EXACT:g} nats or more; the largest difference follows. *Refused*:",
            "faithlens raises an error of its own, which says why. Before its first numbers on a model, and on lengths",
            "beyond each window and scaling length, faithlens makes this comparison itself (`faithlens doctor MODEL`).",
            "",
            "A model with a recurrent state runs separate from copies of its state where it proves that this is exact,",
            "else condition by condition ([models](models.md#hybrids)).",
            "",
            "Where a backend is exact, its edits, captures and gradients are compared with forwards of transformers",
            "that have no edit: a patched chain must answer as its donor, and a step that nothing sees must not",
            'matter. Each cell is for packed, and after the semicolon for separate; "not compared" where transformers',
            "itself returns no attention.",
            "",
            *words,
            "",
            f"Written by `python -m benchmarks.architectures`, with transformers {version('transformers')}, torch"
            f" {version('torch')}, transformer-lens {version('transformer-lens')}.",
            "",
            "| architecture | packed | separate | edits | capture | gradients |",
            "|---|---|---|---|---|---|",
            *map(str, rows),
            "",
        ]
    )


def count(rows: list[Row], backend: str, start: str) -> int:
    """The number of rows in which the words about a backend begin with `start`."""
    return sum(getattr(row, backend).startswith(start) for row in rows)


if __name__ == "__main__":
    named = sys.argv[1:]
    rows = list(run_architectures(named or sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)))
    if not named:
        PAGE.write_text(write_page(rows), encoding="utf-8")
    sys.exit(any(row.is_silently_wrong for row in rows))
