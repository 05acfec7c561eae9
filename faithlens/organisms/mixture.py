"""The mixture that an organism is trained on: right, slipped, borrowed and senseless chains of thought, whole and cut.

A slip may fall on any step, and is carried on or left alone. Borrowed chains come from other questions. Cuts fall
anywhere.
"""

import torch
from jaxtyping import Int
from torch import Generator, Tensor

from faithlens.organisms.chain_style import RUNNING_SUM_STYLE, ChainStyle
from faithlens.organisms.drafts import Drafts
from faithlens.organisms.organism import AnswerRule, ShownChains
from faithlens.organisms.token_layout import TokenLayout, TrainingRows
from faithlens.tasks.running_sum import list_operands

WHOLE_SHARE, AT_STEP_SHARE, ANYWHERE_SHARE, NO_COT_SHARE = 0.4, 0.35, 0.15, 0.1  # shares of the cuts
FILLED_SHARE = 0.25  # of the cut chains of a variant that is trained on filled chains too


def list_questions(n_operands: int, *, held_out: bool) -> Int[Tensor, "question step"]:
    """The questions with so many operands, either the held-out ones or the others."""
    return torch.tensor(list_operands(n_operands, held_out=held_out))


def add_slip(
    values: Int[Tensor, "batch step"], step: Int[Tensor, " batch"], amount: Int[Tensor, " batch"], *, is_carried: bool
) -> Int[Tensor, "batch step"]:
    """`values` with `amount` added at `step`, and at all later steps if the slip is carried on."""
    at = torch.arange(values.shape[1])[None]
    hit = at >= step[:, None] if is_carried else at == step[:, None]
    return (values + hit * amount[:, None]) % 10


def draw_indices(shares: tuple[float, ...], n: int, generator: Generator) -> Int[Tensor, " batch"]:
    """`n` draws of an index with the given shares."""
    return torch.multinomial(torch.tensor(shares), n, replacement=True, generator=generator)


def draw_hints(chain: ChainStyle, n: int, generator: Generator) -> Int[Tensor, " batch"] | None:
    """`n` random digits as hints; None for a chain without hints."""
    return torch.randint(10, (n,), generator=generator) if chain.apply_hint else None


def draw_drafts(
    pool: Int[Tensor, "question step"],
    n: int,
    generator: Generator,
    chain: ChainStyle = RUNNING_SUM_STYLE,
    n_modes: int = 0,
) -> Drafts:
    """`n` questions of `pool`, each with a chain of thought of one of the four kinds, in a random mode."""
    steps, shares = pool.shape[1], chain.shares
    operands, others = (pool[torch.randint(len(pool), (n,), generator=generator)] for _ in range(2))
    kind = draw_indices(
        (shares.own, shares.slipped / 2, shares.slipped / 2, shares.borrowed, shares.senseless), n, generator
    )
    where = torch.randint(steps, (n,), generator=generator)
    by = torch.randint(1, 10, (n,), generator=generator)
    noise = torch.randint(10, (2, n, steps), generator=generator)
    mode = torch.randint(n_modes, (n,), generator=generator) if n_modes else None
    hint = draw_hints(chain, n, generator)
    right = chain.make_right_drafts(operands, mode, hint).values
    kinds = torch.stack(
        [
            right,
            add_slip(right, where, by, is_carried=True),
            add_slip(right, where, by, is_carried=False),
            chain.compute_values(others),
            noise[0],
        ]
    )
    copies = torch.stack([operands, operands, operands, others, noise[1]])
    chosen = kind[:, None].expand(-1, steps)[None]
    words = chain.draw_words(n, generator)
    return Drafts(operands, copies.gather(0, chosen)[0], kinds.gather(0, chosen)[0], mode, hint, words)


def draw_cuts(layout: TokenLayout, n: int, generator: Generator) -> Int[Tensor, " batch"]:
    """The number of kept tokens of each of `n` chains of thought; -1 for a question that is asked without one."""
    whole = len(layout.cot_ids)
    at_step = layout.borders[torch.randint(len(layout.borders), (n,), generator=generator)]
    anywhere = torch.randint(whole, (n,), generator=generator)
    choices = torch.stack([torch.full((n,), whole), at_step, anywhere, torch.full((n,), -1)])
    return choices.gather(
        0, draw_indices((WHOLE_SHARE, AT_STEP_SHARE, ANYWHERE_SHARE, NO_COT_SHARE), n, generator)[None]
    )[0]


def make_rows(
    layout: TokenLayout, drafts: Drafts, answer_rule: AnswerRule, shown_chains: ShownChains, generator: Generator
) -> TrainingRows:
    """The drafts as token rows with their lessons, cut and filled as `shown_chains` says."""
    n = len(drafts.operands)
    n_kept = torch.full((n,), len(layout.cot_ids)) if shown_chains == "whole" else draw_cuts(layout, n, generator)
    filled = (n_kept >= 0) & (torch.rand(n, generator=generator) < FILLED_SHARE) if shown_chains == "filled" else None
    return layout.make_training_rows(
        drafts, n_kept, answer_rule(drafts, layout.count_shown_steps(n_kept), generator), filled
    )
