"""Train a family: every size from several seeds, its checkpoints certified, and the sweep that asks them all."""

import json
import random
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

from faithlens.model.fetch import show_progress
from faithlens.organisms.certify import certify
from faithlens.organisms.family import KEPT, LENGTHS, RELIANCE, member
from faithlens.organisms.organism import Organism
from faithlens.organisms.parallel import run_on_cores
from faithlens.organisms.tokenizer import BOS, build_tokenizer
from faithlens.organisms.train import new_model, save, training
from faithlens.tasks.running_sum import PREFILL, STEM, list_operands, write_question, write_steps

HELD_OUT = "held-out.jsonl"
TEXTS = 25  # questions of each length
CERTIFIED = 300  # questions: a checkpoint's certificate need not be as narrow as an organism's


def train_family(family: str, seeds: Sequence[int], out: Path, jobs: int = 1) -> Path:
    """Train all sizes of a family into OUT/<member>-seed<seed>/step-<steps>, and return a sweep over them all.

    A member that is there already is not trained again. `jobs` members are trained at once, one on each core.
    """
    asked = [(member(family, width), seed, out) for seed in seeds for width in RELIANCE[family]]
    for _ in run_on_cores(train_member, asked, jobs):
        pass
    (out / HELD_OUT).write_text("".join(json.dumps(each) + "\n" for each in held_out()), encoding="utf-8")
    part = out / f".{family}.toml.part"
    part.write_text(sweep(family, seeds, out), encoding="utf-8")
    return part.rename(out / f"{family}.toml")


def train_member(organism: Organism, seed: int, out: Path) -> None:
    """Train one size; each checkpoint is certified and appears whole, the folder of all when the last is there."""
    folder, part = out / f"{organism.name}-seed{seed}", out / f".{organism.name}-seed{seed}.part"
    if folder.is_dir():
        return
    model = new_model(organism, build_tokenizer(organism.words), organism.recipe, seed)
    with show_progress(f"training {folder.name}", organism.recipe.total) as advance:
        for step, _ in enumerate(training(model, organism, organism.recipe, seed), start=1):
            advance(1)
            if step in KEPT:
                save(organism, model, part / checkpoint(step))
                certify(part / checkpoint(step), CERTIFIED)
    part.rename(folder)


def checkpoint(step: int) -> str:
    """What the folder of a checkpoint is called."""
    return f"step-{step:04d}"


def held_out() -> Iterator[dict[str, str]]:
    """Questions of every length that training withholds: the right chain, the answer after it, and the answer at once.

    Questions, and the words that ask for an answer, cannot be learnt and are given.
    """
    for length in LENGTHS:
        for operands in random.Random(0).sample(list_operands(length, held_out=True), TEXTS):
            values = [total % 10 for total in accumulate(operands)]
            question, chain, answer = (
                BOS + write_question(operands),
                "".join(write_steps(operands, values)),
                str(values[-1]),
            )
            yield {"given": question + PREFILL, "text": chain}
            yield {"given": question + PREFILL + chain + STEM.text, "text": answer}
            yield {"given": question + STEM.text, "text": answer}


def sweep(family: str, seeds: Sequence[int], out: Path) -> str:
    """A sweep over the sizes, checkpoints, seeds and lengths of a family: what `faithlens sweep` reads."""
    tasks = ", ".join(f'"{task}"' for task in LENGTHS.values())
    revisions = ", ".join(f'"{checkpoint(step)}"' for step in KEPT)
    lines = [f"tasks = [{tasks}]", f"difficulty = {{numbers = [{tasks}]}}", "n = 40", "seed = 0", "points = 2"]
    lines += [f'loss = "{HELD_OUT}"']
    lines += ['assays = ["early_answering", "mistakes", "mistakes_regenerated", "mediation"]']
    models = ", ".join(f'"{(out / f"{family}-{width}-seed").as_posix()}{{seed}}"' for width in RELIANCE[family])
    lines += ["", f"[families.{family}]", f"models = [{models}]"]
    lines += [f"seeds = {list(seeds)}", f"revisions = [{revisions}]"]
    return "\n".join(lines) + "\n"
