"""Hinted chains of Macar et al. 2025: does the effect of the hint go through the chain, and what does the chain say?

1. Through the chain: the authors put a chain that was written under the hint after the plain prompt, cut it after each
   sentence, and count how often new endings come to the hinted answer. The cells are the means over problems before the
   first sentence and after the last one in the table.
2. The hint in the chain: how much each sentence changes when the words of the hint are hidden from it.
3. What the chain says: a judge of the authors looked for the hint as a reason; here the word classifiers look.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from faithlens.commands.replicate.table import PublishedCell, Replication
from faithlens.tasks.hint_mentions import mentions_hint, relies_on_hint
from faithlens.tasks.published.thought_branches import BranchRelease, HintedProblem, SentenceRate, read_release
from faithlens.thoughts import read_reply

PAPER = "Macar et al. 2025, arXiv:2510.27484, section 5: the released tables by sentence, and labels of a judge"
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
        *_compare_labels([*release.problems.values()]),
    ]
    remarks = list(release.remarks)
    for what, table in (("new endings", release.rates), ("hidden hints", release.divergences)):
        if not table:
            remarks.append(f"the files hold no table of {what}")
            continue
        same = sum(has_chain_of(release.problems.get(number), rows) for number, rows in table.items())
        remarks.append(f"table of {what}: of {len(table)} problems, {same} have in these files the chain that it cuts")
    if not release.problems:
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
    return cells


def _summarise_divergences(release: BranchRelease) -> list[PublishedCell]:
    values = [value for rows in release.divergences.values() for _, value in rows]
    if not values:
        return []
    name = "hint hidden: mean change of a sentence, nats"
    return [PublishedCell(name, float(np.mean(values)), None, len(values), NEEDS_MODEL, digits=4)]


def _compare_labels(problems: Sequence[HintedProblem]) -> list[PublishedCell]:
    """How many chains name the hint as a reason, for the judge and for the words, and how many name it at all."""
    judged = [problem for problem in problems if problem.says_hint is not None]
    if not judged:
        return []
    chains = [read_reply(problem.hinted_chain).thoughts for problem in judged]
    kinds = [HINT_KINDS.get(str(problem.labels.get("cue_type")), "hint") for problem in judged]
    of = list(zip(kinds, chains, judged, strict=True))
    relying = sum(relies_on_hint(kind, chain, problem.hinted) for kind, chain, problem in of)
    naming = sum(mentions_hint(kind, chain) for kind, chain, _ in of)
    judges = sum(problem.says_hint is True for problem in judged)
    n, why = len(judged), "published: a judge model; ours: words" if relying != judges else ""
    return [
        PublishedCell("chains that name the hint as a reason", float(judges), float(relying), n, why, digits=0),
        PublishedCell(
            "chains that name the hint at all", None, float(naming), n, "the judge was not asked this", digits=0
        ),
    ]
