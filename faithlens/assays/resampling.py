"""The rest of a chain of thought is written again after some of its steps: importance by resampling, and a floor.

The assay measures the importance of a step by resampling (Bogdan et al. 2025, Thought Anchors, arXiv:2506.19143,
section 3; Macar et al. 2025, Thought Branches, arXiv:2510.27484). New ends are written after all steps before the step,
and after the step. So the step is compared with what the model itself would have written in its place, which no edit by
hand, such as a deletion or a knockout, can do. Kept: both places, the difference with all ends and with only those that
begin with another step, and the share of the latter. Changed: a few steps of a chain instead of all by default, and 8
ends instead of 100; an end counts with the probabilities of all options after it instead of one answer read from its
text; a step is another one if its words differ, not by the distance of embeddings; the divergence is Jensen-Shannon's,
which is bounded where an answer never occurs on one side; a step that is never rewritten has no value instead of 0.
After the last step there is no new end, since the chain ends there: the chain itself is read.

Other assays use the first of these ends as the resample floor. New sampling alone changes some answers, so an edited
step is compared with the same step unedited, after which the rest was written with the same sampling. (Lanham et al.
2023 plot this floor for paraphrases in figure 9 and do not subtract it.) A greedy model writes the same end again, so
its floor is read from the chain itself.
"""

from collections.abc import Iterator, Sequence

from faithlens.assays.assay import Records, Setting, TextRequest
from faithlens.assays.points import choose_steps
from faithlens.interventions.case import Case
from faithlens.interventions.rewriting import append_tail
from faithlens.interventions.truncation import make_full_cot
from faithlens.measures.answers import choose_option
from faithlens.measures.resampling import compute_importance, stack_answers
from faithlens.measures.score import Score
from faithlens.model.trace import Piece
from faithlens.plan.condition import Condition
from faithlens.tasks.segmentation import split_steps

NO_END = "no new end of the chain could be used"
NEVER_REWRITTEN = "every new end begins with this step again, so nothing stands in its place"
ONE_END = "one end was written, and two are needed"
MIN_NEW_TOKENS = 16  # a new end may have so many tokens, however long the steps before it are


def choose_places(setting: Setting, steps: Sequence[int]) -> list[int]:
    """The steps after which the rest is regenerated: evenly spaced from the first to the last; or the middle."""
    last, n = len(steps) - 1, setting.regenerations
    if n is None or last < n:
        return list(steps)
    if n == 1:
        return [steps[last // 2]]
    return [steps[i] for i in sorted({round(i * last / (n - 1)) for i in range(n)})]


def request_rest(setting: Setting, name: str, pieces: Sequence[Piece]) -> TextRequest:
    """A request for the rest of the chain after `pieces`, within the chain's own number of tokens."""
    used = sum(len(piece.ids) for piece in pieces[1:])
    return TextRequest(
        name,
        tuple(pieces),
        max_tokens=max(MIN_NEW_TOKENS, setting.sampling.find_limit(setting.model) - used),
        drops_unfinished_step=True,
    )


def request_floor(setting: Setting, case: Case, n_steps: int) -> list[TextRequest]:
    """A request for another end after the first `n_steps` steps; none for a greedy model."""
    if setting.sampling.temperature == 0:
        return []
    return [request_rest(setting, list_ends(setting, n_steps)[0], case.trace.pieces[: 1 + n_steps])]


def make_floor(setting: Setting, case: Case, n_steps: int) -> Condition | None:
    """The first `n_steps` steps with another end; None if that end is unfinished."""
    if setting.sampling.temperature == 0:
        return make_full_cot(case)
    name = list_ends(setting, n_steps)[0]
    if case.generated_texts[name].unusable_reason:
        return None
    return append_tail(setting.model, case, name, case.trace.pieces[: 1 + n_steps], name)


def choose_resampled_steps(setting: Setting, case: Case) -> list[int]:
    """The steps whose importance is measured, evenly spaced among the steps that are edited."""
    return choose_places(setting, list(choose_steps(setting, case)))


def list_ends(setting: Setting, n_steps: int) -> list[str]:
    """The names of the ends after the first `n_steps` steps; a greedy model writes one."""
    n_ends = setting.ends if setting.sampling.temperature else 1
    return [f"resample@{n_steps}" + f":{k}" * (k > 0) for k in range(n_ends)]


def _list_places(setting: Setting, case: Case) -> list[int]:
    """After how many steps ends are written: before and after each chosen step, but not after the last of the chain."""
    places = {place for i in choose_resampled_steps(setting, case) for place in (i, i + 1)}
    return sorted(places - {len(case.trace.steps)})


def requests(setting: Setting, case: Case) -> list[TextRequest]:
    """The ends before and after each chosen step."""
    return [
        request_rest(setting, name, case.trace.pieces[: 1 + n_steps])
        for n_steps in _list_places(setting, case)
        for name in list_ends(setting, n_steps)
    ]


def conditions(setting: Setting, case: Case) -> list[Condition]:
    """The chain itself, and with each new end that can be used."""
    return [
        make_full_cot(case),
        *(
            append_tail(setting.model, case, name, case.trace.pieces[: 1 + n_steps], name)
            for n_steps in _list_places(setting, case)
            for name in list_ends(setting, n_steps)
            if not case.generated_texts[name].unusable_reason
        ),
    ]


def score(setting: Setting, case: Case, records: Records) -> list[Score]:
    """The importance of each chosen step."""
    return [each for i in choose_resampled_steps(setting, case) for each in score_step(setting, case, i, records)]


def score_step(setting: Setting, case: Case, step: int, records: Records) -> Iterator[Score]:
    """The scores of one step."""
    last = step + 1 == len(case.trace.steps)
    before = [name for name in list_ends(setting, step) if name in records]
    after = ["full"] if last else [name for name in list_ends(setting, step + 1) if name in records]
    values, missing = dict[str, float | None](), NO_END
    if before and after:
        importance = compute_importance(
            stack_answers([records[name].logprobs for name in before], len(case.candidates)),
            stack_answers([records[name].logprobs for name in after], len(case.candidates)),
            [begins_anew(case, name, step) for name in before],
            choose_option(records["full"].logprobs),
        )
        values, missing = importance._asdict(), ""
    reasons = {"counterfactual": NEVER_REWRITTEN, "divergence_floor": ONE_END}
    for name in ("rise", "counterfactual", "divergence", "divergence_floor", "rewritten"):
        value = values.get(name)
        reason = None if value is not None else missing or reasons[name]
        yield Score(f"resampling.{name}", value, f"resample@{step}", step, reason=reason)


def begins_anew(case: Case, end: str, step: int) -> bool:
    """Whether a new end begins with other words than the step that it stands in for."""
    text = case.generated_texts[end].text
    first = next((text[start:stop] for start, stop in split_steps(text)), "")
    return first.split() != case.trace.texts[1 + step].split()
