"""A finished run of any number of questions, made of random words and numbers in seconds: no model, no torch."""

from pathlib import Path

import numpy as np
import pandas as pd

from faithlens.commands.decide import judge_subjects
from faithlens.stats.estimate import compute_estimates
from faithlens.stats.verdict import Criteria
from faithlens.store import Run, make_manifest

MODEL, TASK = "large", "word-sums"
N_STEPS, CANDIDATES = 8, ["A", "B", "C", "D"]
SYLLABLES = ("ba", "do", "fe", "gu", "hi", "ka", "lo", "me", "nu", "po", "ri", "sa", "te", "vu", "wi", "zo")


def make_large_run(path: Path, n: int, seed: int = 0) -> Run:
    """A run of `n` questions whose chains have `N_STEPS` steps of about ten random words, and 75 conditions each."""
    rng = np.random.default_rng(seed)
    run = Run.create(path, make_manifest({"tasks": [TASK], "n": n}, seed, "cpu"))
    questions = [f"{TASK}-{i:04d}" for i in range(n)]
    keys = {"model": MODEL, "task": TASK}
    prompts, texts, after = make_sentences(rng, n), make_sentences(rng, n * N_STEPS), make_sentences(rng, n * N_STEPS)
    steps = [texts[i : i + N_STEPS] for i in range(0, len(texts), N_STEPS)]
    traces = pd.DataFrame({**keys, "question": questions})
    run.write_part("traces", "0", traces.assign(
        sample=0, prompt=prompts, cot=["".join(some) for some in steps],
        steps=steps, answer="B", predicted="B", candidates=[CANDIDATES] * n, stem=" Answer: ", finish="stop",
        n_tokens=120, seed=0,
    ))  # fmt: skip
    conditions = list_conditions()
    answers = pd.MultiIndex.from_product([questions, conditions], names=["question", "condition"]).to_frame(index=False)
    logprobs = np.log(rng.dirichlet(np.ones(len(CANDIDATES)) / 3, len(answers)) + 1e-9)
    run.write_part("answers", "0", answers.assign(**keys, sample=0, logprobs=list(logprobs)))
    step = np.tile(np.arange(N_STEPS), n)
    edits = pd.DataFrame({"question": np.repeat(questions, N_STEPS), "step": step, "before": texts, "after": after})
    names = [f"mistake@{i}" for i in step]
    same = {"sample": 0, "kind": "mistake", "by": "the task", "tail": "", "outcome": "ignores"}
    run.write_part("edits", "0", edits.assign(**keys, **same, condition=names))
    run.write_part("scores", "0", make_scores(rng, questions).assign(**keys))
    scores = run.read("scores")
    run.finish({"estimates": compute_estimates(scores, seed)})
    tables = {name: run.read(name) for name in ("scores", "traces", "estimates")}
    run.write_json("verdict.json", {"subjects": list(judge_subjects(tables, [(MODEL, TASK, None)], Criteria()))})
    return run


def make_sentences(rng: np.random.Generator, n: int) -> list[str]:
    """Sentences of ten random words, which compress no better than those of a model."""
    return [" " + " ".join(map("".join, words)) + "." for words in rng.choice(SYLLABLES, (n, 10, 3)).tolist()]


def list_conditions() -> list[str]:
    """The names of the conditions of every chain."""
    kinds = ("cut@{}", "mistake@{}", "propagate@{}", "restore@{}", "knockout:step {}", "state:step {}",
             "knockout:step {}:control 0", "knockout:step {}:control 1", "delete@{}")  # fmt: skip
    return ["full", "no_cot", "swap_cot", *(kind.format(i) for kind in kinds for i in range(N_STEPS))]


def make_scores(rng: np.random.Generator, questions: list[str]) -> pd.DataFrame:
    """Scalars and effects of steps of every chain."""
    n = len(questions)
    frames = [
        pd.DataFrame({"question": questions, "condition": "full", "measure": name, "unit": "fraction", "value": value})
        for name, value in {
            "accuracy.full": (rng.random(n) < 0.9).astype(float),
            "accuracy.chance": np.full(n, 0.25),
            "accuracy.no_cot": (rng.random(n) < 0.4).astype(float),
            "mediation.content_share": rng.random(n),
            "mediation.question_share": rng.random(n),
            "mediation.moves": np.ones(n),
            "stated.concludes": np.ones(n),
            "derivation.follows": np.ones(n),
        }.items()
    ]
    for i in range(N_STEPS):
        place = {"step": i, "fraction": i / N_STEPS}
        frames += [
            pd.DataFrame({"question": questions, "condition": f"knockout:step {i}", "measure": "knockout.step_raw",
                          "unit": "probability", "value": rng.random(n), "step": i}),
            pd.DataFrame({"question": questions, "condition": f"mistake@{i}", "measure": "mistakes.soft",
                          "unit": "probability", "value": rng.random(n), **place}),
            pd.DataFrame({"question": questions, "condition": f"cut@{i}", "measure": "early_answering.retention",
                          "unit": "fraction", "value": rng.integers(0, 2, n).astype(float), **place}),
        ]  # fmt: skip
    return pd.concat(frames, ignore_index=True).assign(sample=0)
