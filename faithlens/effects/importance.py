"""Which steps matter when the model itself writes others in their place, and do edits name the same steps?

1. New ends of each chain are written before each step and after it (`faithlens.assays.resampling`).
2. Each step is hidden from the answer, deleted, and cut away with all that follows: exact edits, which write nothing.
3. All of them are answered in the same packed passes. Every effect is a fall of the probability of the chain's answer.
4. Within each chain, steps are ranked by resampling and by each edit; the rank correlations are averaged over
   questions, with an interval.

For example, a serial chain of three steps whose second step holds a slip that the third carries on::

    step   resampled   knockout   deletion   cut
    0      .0          .0         .3         .1
    1      .9          .0         .0         .1       the slip is made here: written anew, the answer is another
    2      .0          .9         .9         .7       the answer is read here, but this step had no choice

The two disagree because they ask different things: where the chain was decided, and where the answer is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from faithlens.assays.assay import Setting
from faithlens.assays.battery import CaseResult, run_battery
from faithlens.effects.summary import Summary
from faithlens.errors import MeasureError, PlanError, check_choice
from faithlens.execution.options import Sampling
from faithlens.interventions.case import Case
from faithlens.measures.answers import choose_option, option_probabilities
from faithlens.measures.edit_counts import DEFAULT_ENDS
from faithlens.model.model import Model
from faithlens.stats.agreement import compute_rank_agreement
from faithlens.tasks.question import Task

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

ON_POLICY = ("resampled", "counterfactual")
EDITS = ("knockout", "deletion", "cut")
EFFECT_COLUMNS = (*ON_POLICY, *EDITS)
MEASURES = {"resampling.rise": "resampled", "resampling.counterfactual": "counterfactual",
            "resampling.rewritten": "rewritten", "knockout.step_raw": "knockout"}  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class Importance(Summary):
    """The importance of every step of some chains, on policy and by edits.

    Attributes:
        table: one row for each step: question, chain (the number among the question's chains), step (from 0), words,
            length in tokens, and falls of the probability of the chain's answer: `resampled` and `counterfactual`
            where the step is written anew (the second only where other words were written; NaN where none were),
            `knockout` where it is hidden from the answer, `deletion` where it is left out, `cut` where the chain ends
            before it and not after it (NaN where the next step is not among the `points`). `rewritten` is the share of
            new ends that begin with other words.
        ends: the number of new ends before and after each step; a greedy model writes 1.
        seed: the seed of the ends and of the intervals.
    """

    table: pd.DataFrame
    ends: int
    seed: int

    def summarise(self) -> tuple[str, pd.DataFrame]:
        """The mean importance of each step over chains, on policy and by edits."""
        mean = self.table.groupby("step", as_index=False)[[*EFFECT_COLUMNS]].mean()
        n_chains = len(self.table[["question", "chain"]].drop_duplicates())
        return f"probability, {n_chains} chains, {self.ends} new ends before and after each step", mean

    def compare(self, on_policy: str = "resampled") -> dict[str, pd.DataFrame]:
        """For each edit, how well it ranks the steps of a chain as resampling does.

        Args:
            on_policy: "resampled", or "counterfactual", which leaves out steps that are never rewritten.

        Returns:
            By edit, the table of `fl.stats.compute_rank_agreement`: correlations with 95 % intervals over questions,
            raw and with the step's index and length held fixed.

        Raises:
            MeasureError: there is no such column.
        """
        check_choice(on_policy, ON_POLICY, "importance by resampling", MeasureError)
        return {
            edit: compute_rank_agreement(self.table, on_policy, edit, chain="chain", seed=self.seed) for edit in EDITS
        }

    def plot(self) -> "Figure":
        """The mean of each importance over questions by step, with intervals.

        `fl.figures.plot_agreement(importance.compare())` draws the rank correlations.
        """
        from faithlens.figures.internals import plot_step_groups  # plotly takes a second to import

        return plot_step_groups(self.table, EFFECT_COLUMNS, "probability", self.seed)


def compare_importance(
    model: Model,
    task: Task,
    cases: Sequence[Case],
    sampling: Sampling = Sampling(temperature=1.0),
    *,
    ends: int = DEFAULT_ENDS,
    points: int | None = None,
    seed: int = 0,
) -> Importance:
    """The importance of each step by resampling (Bogdan et al. 2025, arXiv:2506.19143) beside exact edits of it.

    Args:
        model: the model.
        task: the task of the cases.
        cases: cases with a stem, as `fl.think` returns them.
        sampling: how new ends are drawn: as the chains were, for importance on policy.
        ends: the number of new ends before and after each step; 1 at temperature 0, where all are equal.
        points: the number of steps, at least 3, that are taken of a chain of more than twice as many; None for all.
        seed: the seed of the ends and of the intervals.

    Returns:
        A table of steps, their agreement, and a picture. Effects are differences of probabilities, -1 to 1.

    Raises:
        PlanError: there is no case, or `ends` is not positive, or `points` is below 3.
        TraceError: a case has no stem.
    """
    if not cases or ends < 1:
        raise PlanError(
            f"importance needs at least one case and one end, got {len(cases)} cases and {ends} ends",
            "Make cases with fl.think, and write 1 end or more.",
        )
    if points is not None and points < 3:
        problem = f"points must be at least 3 steps (the first, the last, and one between), got {points}"
        raise PlanError(problem, "Pass 3 or more, or None for all steps.")
    ends = ends if sampling.temperature else 1
    setting = Setting(model, task, seed, sampling, regenerations=None, points=points, ends=ends)
    results = run_battery(setting, cases, ["early_answering", "resampling", "deletion", "knockouts"])
    return Importance(pd.concat([_tabulate(result) for result in results], ignore_index=True), ends, seed)


def _tabulate(result: CaseResult) -> pd.DataFrame:
    """The rows of one chain."""
    case, records = result.case, result.records
    clean = records["full"].logprobs
    answer = choose_option(clean)
    soft = {name: float(option_probabilities(record.logprobs)[answer]) for name, record in records.items()}
    values = {(MEASURES[s.measure], s.step): s.value for s in result.scores if s.measure in MEASURES}
    steps, n = [step for name, step in values if name == "resampled" and step is not None], len(case.trace.steps)
    rows = pd.DataFrame({"step": steps, **{name: [values[name, i] for i in steps] for name in MEASURES.values()}})
    return rows.assign(
        question=case.question.id,
        chain=case.sample,
        words=[case.trace.texts[1 + i].strip() for i in steps],
        length=[len(case.trace.steps[i].ids) for i in steps],
        deletion=[soft["full"] - soft[f"delete@{i}"] for i in steps],
        cut=[soft.get("full" if i + 1 == n else f"cut@{i + 1}", np.nan) - soft[f"cut@{i}"] for i in steps],
    )[["question", "chain", "step", "words", "length", *EFFECT_COLUMNS, "rewritten"]].astype(
        dict.fromkeys((*EFFECT_COLUMNS, "rewritten"), float)
    )
