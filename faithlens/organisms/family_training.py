"""Train a family: every size from several seeds, with certified checkpoints, and a sweep over all of them."""

import json
import random
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

from faithlens.errors import check_choice
from faithlens.organisms.certification import certify
from faithlens.organisms.family import CHECKPOINT_STEPS, DIGIT_LIMITS, TASK_BY_LENGTH, make_member
from faithlens.organisms.organism import Organism
from faithlens.organisms.parallel import run_on_cores
from faithlens.organisms.tokenizer import BOS, build_tokenizer
from faithlens.organisms.training import make_model, save, train_stepwise
from faithlens.progress import show_part
from faithlens.tasks.running_sum import PREFILL, STEM, list_operands, write_question, write_steps

HELD_OUT_FILE = "held-out.jsonl"
N_HELD_OUT_QUESTIONS = 25  # questions of each length
N_CERTIFIED = 300  # fewer questions than an organism's certificate: its intervals may be wider


def train_family(family: str, seeds: Sequence[int], out: Path, jobs: int = 1) -> Path:
    """Train all sizes of a family into OUT/<member>-seed<seed>/step-<steps>, and return the file of a sweep over all of
    them.

    A member that is there already is not trained again.

    Args:
        family: the name of the family.
        seeds: the seeds to train with.
        out: the folder.
        jobs: the number of members that are trained at once, one on each core.

    Raises:
        ConfigError: there is no such family.
    """
    check_choice(family, DIGIT_LIMITS, "family")
    members = [(make_member(family, width), seed, out) for seed in seeds for width in DIGIT_LIMITS[family]]
    for _ in run_on_cores(train_member, members, jobs):
        pass
    (out / HELD_OUT_FILE).write_text(
        "".join(json.dumps(each) + "\n" for each in list_held_out_texts()), encoding="utf-8"
    )
    part = out / f".{family}.toml.part"
    part.write_text(write_sweep_config(family, seeds, out), encoding="utf-8")
    return part.rename(out / f"{family}.toml")


def train_member(organism: Organism, seed: int, out: Path) -> None:
    """Train one size and certify each checkpoint. Its folder appears when the last checkpoint is complete."""
    folder, part = out / f"{organism.name}-seed{seed}", out / f".{organism.name}-seed{seed}.part"
    if folder.is_dir():
        return
    model = make_model(organism, build_tokenizer(organism.extra_words), organism.recipe, seed)
    with show_part(f"training {folder.name}", organism.recipe.total_steps) as advance:
        for step, _ in enumerate(train_stepwise(model, organism, organism.recipe, seed), start=1):
            advance(1)
            if step in CHECKPOINT_STEPS:
                save(organism, model, part / name_checkpoint(step))
                certify(part / name_checkpoint(step), N_CERTIFIED)
    part.rename(folder)


def name_checkpoint(step: int) -> str:
    """The name of the folder of a checkpoint."""
    return f"step-{step:04d}"


def list_held_out_texts() -> Iterator[dict[str, str]]:
    """Texts that training withholds, for every length: the right chain, the answer after it, and the answer at once.

    Questions, and the words that ask for an answer, cannot be learnt, so they are given.
    """
    for length in TASK_BY_LENGTH:
        for operands in random.Random(0).sample(list_operands(length, held_out=True), N_HELD_OUT_QUESTIONS):
            values = [total % 10 for total in accumulate(operands)]
            question, chain = BOS + write_question(operands), "".join(write_steps(operands, values))
            answer = str(values[-1])
            yield {"given": question + PREFILL, "text": chain}
            yield {"given": question + PREFILL + chain + STEM.text, "text": answer}
            yield {"given": question + STEM.text, "text": answer}


def write_sweep_config(family: str, seeds: Sequence[int], out: Path) -> str:
    """A sweep over the sizes, checkpoints, seeds and lengths of a family, as `faithlens sweep` reads it."""
    tasks = ", ".join(f'"{task}"' for task in TASK_BY_LENGTH.values())
    revisions = ", ".join(f'"{name_checkpoint(step)}"' for step in CHECKPOINT_STEPS)
    lines = [f"tasks = [{tasks}]", f"difficulty = {{numbers = [{tasks}]}}", "n = 40", "seed = 0", "regenerations = 2"]
    lines += [f'loss = "{HELD_OUT_FILE}"']
    lines += ['assays = ["early_answering", "mistakes", "mistakes_regenerated", "mediation"]']
    models = ", ".join(f'"{(out / f"{family}-{width}-seed").as_posix()}{{seed}}"' for width in DIGIT_LIMITS[family])
    lines += ["", f"[families.{family}]", f"models = [{models}]"]
    lines += [f"seeds = {list(seeds)}", f"revisions = [{revisions}]"]
    return "\n".join(lines) + "\n"
