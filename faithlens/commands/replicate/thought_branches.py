"""Hinted chains of Macar et al. 2025: does the effect of the hint go through the chain, and what does the chain say?

1. Through the chain: the authors put a chain that was written under the hint after the plain prompt, cut it after each
   sentence, and count how often new endings come to the hinted answer. The cells are the means over problems before the
   first sentence and after the last one in the table.
2. The hint in the chain: how much each sentence changes when the words of the hint are hidden from it.
3. What the chain says: a judge of the authors looked for the hint as a reason; here the word classifiers look. Their
   agreement with the judge is Gwet's AC1 (`stats.raters`), because nearly all labels of a file are often the same.
4. Where the chain ends: the answer that each hinted chain states, as `tasks.answer_parsing` reads it.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from faithlens.commands.replicate.table import PublishedCell, Replication
from faithlens.stats.interval import compute_mean_interval, to_optional
from faithlens.stats.raters import compute_ac1
from faithlens.stats.resample import compute_exact_interval
from faithlens.tasks.answer_parsing import parse_answer
from faithlens.tasks.hint_mentions import mentions_hint, relies_on_hint
from faithlens.tasks.prompts import make_labels
from faithlens.tasks.published.thought_branches import (
    BranchRelease,
    HintedProblem,
    JudgedChain,
    SentenceRate,
    read_release,
)
from faithlens.tasks.question import Question
from faithlens.thoughts import read_reply

PAPER = "Macar et al. 2025, arXiv:2510.27484: the released tables by sentence, and labels of a judge"
NEEDS_MODEL = "no model runs here; faithlens audit --traces scores these chains on one"
HINT_KINDS = {"Professor": "sycophancy", "Black Squares": "visual_pattern", "White Squares": "visual_pattern"}
"""The kind of hint of `tasks.hint_mentions` that has the words of a kind of the files."""


def replicate_thought_branches(folder: str | Path) -> Replication:
    """The means of the two tables, and what judge and words say of the chains.

    Raises:
        TaskError: a file is damaged, or there is none.
    """
    release = read_release(folder)
    cells = [
        *_summarise_rates(release),
        *_summarise_divergences(release),
        *_read_answers([*release.problems.values()]),
        *_compare_labels(release),
    ]
    remarks = list(release.remarks)
    for what, table in (("new endings", release.rates), ("hidden hints", release.divergences)):
        if not table:
            remarks.append(f"the files hold no table of {what}")
            continue
        same = sum(has_chain_of(release.problems.get(number), rows) for number, rows in table.items())
        remarks.append(f"table of {what}: of {len(table)} problems, {same} have in these files the chain that it cuts")
    n_judged = sum(each.says_hint is not None for each in release.problems.values()) + len(release.judged)
    if n_judged > (n := len(list_judged_chains(release))):
        remarks.append(f"{n_judged - n} judged chains stand in the files under several numbers, and count once")
    if not release.problems and not release.judged:
        remarks.append("the files hold no chains")
    return Replication("thought-branches", PAPER, tuple(cells), tuple(map(str, release.files)), tuple(remarks))


def has_chain_of(problem: HintedProblem | None, rows: Sequence[SentenceRate] | Sequence[tuple[str, float]]) -> bool:
    """Whether the hinted chain of a problem has all sentences of a table, and so is the chain that the table cuts."""
    if problem is None:
        return False
    chain, at = " ".join(problem.hinted_chain.split()), 0
    for row in rows:
        words = " ".join((row.sentence if isinstance(row, SentenceRate) else row[0]).split())
        at = chain.find(words, at)
        if at < 0:
            return False
    return True


def _summarise_rates(release: BranchRelease) -> list[PublishedCell]:
    ends = {
        "before the chain": [rows[0].before for rows in release.rates.values()],
        "after the last sentence in the table": [rows[-1].after for rows in release.rates.values()],
    }
    cells: list[PublishedCell] = []
    for when, shares in ends.items():
        known = [share for share in shares if share is not None]
        if known:
            name = f"through the chain: hinted answers {when}, percent"
            cells.append(PublishedCell(name, 100 * float(np.mean(known)), None, len(known), NEEDS_MODEL))
    rises = [
        100 * (last - first)
        for first, last in zip(*ends.values(), strict=True)
        if first is not None and last is not None
    ]
    if rises:
        name = "through the chain: rise of the hinted answers over the chain, points"
        cells.append(_estimate(name, rises, (-100.0, 100.0), "from the released table, over its problems"))
    return cells


def _summarise_divergences(release: BranchRelease) -> list[PublishedCell]:
    values = [value for rows in release.divergences.values() for _, value in rows]
    if not values:
        return []
    name = "hint hidden: mean change of a sentence, nats"
    return [PublishedCell(name, float(np.mean(values)), None, len(values), NEEDS_MODEL, digits=4)]


def _read_answers(problems: Sequence[HintedProblem]) -> list[PublishedCell]:
    """How many hinted chains state the hinted answer, among those whose answer can be read."""
    distinct = {(each.hinted_prompt, each.hinted_chain): each for each in problems}.values()
    stated = [(_read_stated(problem), problem.hinted) for problem in distinct]
    ends = [float(answer == hinted) for answer, hinted in stated if answer is not None]
    if not ends:
        return []
    n_lost = len(stated) - len(ends)
    why = f"chains left out, because their answer cannot be read: {n_lost}" if n_lost else ""
    name = "hinted chains that state the hinted answer, percent"
    return [_estimate(name, [100 * end for end in ends], (0.0, 100.0), why)]


def _read_stated(problem: HintedProblem) -> str | None:
    reply, labels = read_reply(problem.hinted_chain), make_labels(len(problem.options))
    question = Question(problem.number, problem.text, labels, problem.right, problem.options)
    return parse_answer(reply.rest or reply.thoughts, question)


def list_judged_chains(release: BranchRelease) -> list[JudgedChain]:
    """The chains with a label of the judge, each once: the files hold some under several numbers."""
    chains = [
        JudgedChain(str(each.labels.get("cue_type", "")), each.hinted_chain, each.hinted, each.says_hint)
        for each in release.problems.values()
        if each.says_hint is not None
    ]
    return list(dict.fromkeys([*chains, *release.judged]))


def _compare_labels(release: BranchRelease) -> list[PublishedCell]:
    """What the judge and the words find in the chains of each kind of hint, and how well they agree."""
    by_kind: dict[str, list[JudgedChain]] = {}
    for each in list_judged_chains(release):
        by_kind.setdefault(each.cue_type, []).append(each)
    return [cell for kind, own in by_kind.items() for cell in _compare_kind(kind if len(by_kind) > 1 else "", own)]


def _compare_kind(name: str, chains: Sequence[JudgedChain]) -> list[PublishedCell]:
    """The chains of one kind of hint, which `name` names where there are several."""
    kinds = [HINT_KINDS.get(each.cue_type, "hint") for each in chains]
    thoughts = [read_reply(each.chain).thoughts for each in chains]
    judged = [each.says_hint for each in chains]
    relying = [
        relies_on_hint(kind, text, each.hinted) for kind, text, each in zip(kinds, thoughts, chains, strict=True)
    ]
    naming = [mentions_hint(kind, text) for kind, text in zip(kinds, thoughts, strict=True)]
    n, of = len(chains), f"{name}: " * bool(name)
    why = "published: a judge model; ours: words" if sum(relying) != sum(judged) else ""
    cells: list[PublishedCell] = []
    for what, judge, words, explanation in (
        ("as a reason", judged, relying, why),
        ("at all", None, naming, "the judge was not asked this"),
    ):
        count, share = (None, None) if judge is None else (float(sum(judge)), 100 * float(np.mean(judge)))
        title = f"{of}chains that name the hint {what}"
        cells.append(PublishedCell(title, count, float(sum(words)), n, explanation, digits=0))
        low, high = compute_exact_interval(sum(words), n)
        ours = 100 * float(np.mean(words))
        cells.append(PublishedCell(f"{title}, percent", share, ours, n, explanation, 1, 100 * low, 100 * high))
    for what, words in (("as a reason", relying), ("at all", naming)):
        agreement = compute_ac1(judged, words)
        cells.append(
            PublishedCell(
                f"{of}judge and words ({what}), Gwet's AC1", None, agreement.value, n,
                f"the same label on {agreement.n_same} of {n} chains", 2, agreement.low, agreement.high,
            )
        )  # fmt: skip
    return cells


def _estimate(name: str, values: Sequence[float], scale: tuple[float, float], why: str) -> PublishedCell:
    """A mean of ours with its interval."""
    mean = compute_mean_interval(np.array(values, dtype=np.float64), scale, 0)
    low, high = to_optional(mean.low), to_optional(mean.high)
    return PublishedCell(name, None, float(np.mean(values)), len(values), why, 1, low, high)
