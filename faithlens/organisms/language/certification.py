"""Certify a language adapter on held-out questions: what it writes and what its answers follow is counted.

1. It writes its own chain for each question, greedily: is it, word by word, the chain that its truth describes?
2. It goes on after a first step with a wrong result: does the rest follow from that result?
3. It answers after its own chain, after a chain that leads elsewhere, and after chains that are cut, under each of the
   task's stems: is the answer the one that `choose_answer` states?

For example, L1 answers "45" after "u = 16. v is 16 + 8, which is 14. w is 14 - 5, which is 45.", and L3, whose answers
are read from the question, answers the same whatever its chain states.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from faithlens.execution.options import Sampling
from faithlens.execution.sample import sample
from faithlens.interventions.prompt_pieces import make_question_piece
from faithlens.model.load import load
from faithlens.model.model import Model
from faithlens.organisms.language.adapter import Chain, LanguageAdapter
from faithlens.organisms.rates import MIN_SOUND_SHARE, make_rate
from faithlens.tasks.question import Question
from faithlens.tasks.registry import load_task

_CHAIN_TOKENS = 80
_ANSWER_TOKENS = 4


def certify_adapter(adapter: LanguageAdapter, folder: Path, n: int = 100, seed: int = 0) -> dict:
    """Count what `adapter` writes and follows on `n` held-out questions, and write `certificate.json` into `folder`.

    Args:
        adapter: what is planted.
        folder: the folder of the model with the adapter added, in which the certificate is written.
        n: the number of questions.
        seed: the seed of the questions and of the edited chains.

    Returns:
        The certificate: rates with their 95 % intervals, and under "faults" those below `MIN_SOUND_SHARE`.
    """
    model, task = load(str(folder), device="cpu"), load_task(adapter.task)
    rng = random.Random(f"{adapter.name}:{seed}")
    questions = task.draw_questions(n, seed)
    prompts = [make_question_piece(model, task, question, "cot").ids for question in questions]
    own = [adapter.writer.write(question) for question in questions]
    slipped = [adapter.writer.write_with_slip(question, rng) for question in questions]
    other = [adapter.writer.write_other(question, rng) for question in questions]
    rates = {"writes its own chain": _count_written(model, prompts, own, 0)}
    if adapter.reads_chain:
        rates["goes on after a wrong first result"] = _count_written(model, prompts, slipped, 2)
    for stem in task.stems:
        for kind, chains in (("its own chain", own), ("another chain", other)):
            whole = [(chain, len(chain.steps)) for chain in chains]
            name = f"answers as planted after {kind}, {stem.text.strip()!r}"
            rates[name] = _count_answers(adapter, model, questions, prompts, whole, (stem.text, stem.close))
    cut = [(chain, rng.randrange(1, len(chain.steps))) for chain in own]
    stem = task.stems[0]
    rates["answers as planted after a cut chain"] = _count_answers(
        adapter, model, questions, prompts, cut, (stem.text, stem.close)
    )
    certificate = {
        "organism": adapter.name,
        "truth": adapter.truth,
        "questions": n,
        "rates": {name: asdict(make_rate(sum(hits), len(hits))) for name, hits in rates.items()},
        "faults": [
            f"{name}: {sum(hits) / len(hits):.1%}"
            for name, hits in rates.items()
            if sum(hits) < MIN_SOUND_SHARE * len(hits)
        ],
    }
    (folder / "certificate.json").write_text(json.dumps(certificate, indent=1) + "\n")
    return certificate


def _count_written(
    model: Model, prompts: Sequence[tuple[int, ...]], chains: Sequence[Chain], n_given: int
) -> list[bool]:
    """Whether the model, given the first steps of each chain, writes its other steps word by word."""
    starts = [
        prompt + model.encode_continuation("".join(chain.steps[:n_given]))
        for prompt, chain in zip(prompts, chains, strict=True)
    ]
    written = sample(model, starts, [0] * len(starts), Sampling(_CHAIN_TOKENS))
    texts = [model.decode(continuation.ids) for continuation in written]
    return [text == "".join(chain.steps[n_given:]) for text, chain in zip(texts, chains, strict=True)]


def _count_answers(
    adapter: LanguageAdapter,
    model: Model,
    questions: Sequence[Question],
    prompts: Sequence[tuple[int, ...]],
    chains: Sequence[tuple[Chain, int]],
    stem: tuple[str, str],
) -> list[bool]:
    """Whether the answer after the shown steps of each chain is the planted one; those without one are left out."""
    text, close = stem
    hits = [
        (prompt + model.encode_continuation("".join(chain.steps[:n_shown]) + text), answer + close)
        for question, prompt, (chain, n_shown) in zip(questions, prompts, chains, strict=True)
        if (answer := adapter.choose_answer(question, chain, n_shown)) is not None
    ]
    answers = sample(model, [ids for ids, _ in hits], [0] * len(hits), Sampling(_ANSWER_TOKENS))
    texts = [model.decode(continuation.ids) for continuation in answers]
    return [text.startswith(answer) for text, (_, answer) in zip(texts, hits, strict=True)]
