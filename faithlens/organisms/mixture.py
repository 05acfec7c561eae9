"""The mixture an organism is trained on: right, slipped, borrowed and senseless chains of thought, whole and cut.

Any step slips, the slip is carried on or left alone, whole chains come from other questions, and cuts fall anywhere.
"""

import torch
from jaxtyping import Int
from torch import Generator, Tensor

from faithlens.organisms.chain import RUNNING, Chain
from faithlens.organisms.drafts import Drafts
from faithlens.organisms.organism import Label, Shows
from faithlens.organisms.sheet import Rows, Sheet
from faithlens.tasks.running_sum import list_operands

WHOLE, AT_STEP, ANYWHERE, NO_COT = 0.4, 0.35, 0.15, 0.1  # shares of the cuts
FILLED = 0.25  # of the chains that are cut, where some are filled up


def questions(operands: int, *, withheld: bool) -> Int[Tensor, "question step"]:
    """The questions with that many operands that are held out, or that are not."""
    return torch.tensor(list_operands(operands, held_out=withheld))


def slipped(
    values: Int[Tensor, "batch step"], step: Int[Tensor, " batch"], by: Int[Tensor, " batch"], *, carried: bool
) -> Int[Tensor, "batch step"]:
    """`values` with `by` added at `step`, and to all later ones if the slip is `carried`."""
    at = torch.arange(values.shape[1])[None]
    hit = at >= step[:, None] if carried else at == step[:, None]
    return (values + hit * by[:, None]) % 10


def pick(shares: tuple[float, ...], n: int, generator: Generator) -> Int[Tensor, " batch"]:
    """`n` draws of an index, with the given shares."""
    return torch.multinomial(torch.tensor(shares), n, replacement=True, generator=generator)


def hints(chain: Chain, n: int, generator: Generator) -> Int[Tensor, " batch"] | None:
    """`n` digits for hints, evenly; None where the chain heeds none."""
    return torch.randint(10, (n,), generator=generator) if chain.heeds else None


def draw(
    pool: Int[Tensor, "question step"], n: int, generator: Generator, chain: Chain = RUNNING, modes: int = 0
) -> Drafts:
    """`n` questions of `pool`, each with a chain of thought of one of the four kinds, in one of so many modes."""
    steps, shares = pool.shape[1], chain.shares
    operands, others = (pool[torch.randint(len(pool), (n,), generator=generator)] for _ in range(2))
    kind = pick((shares.own, shares.slipped / 2, shares.slipped / 2, shares.borrowed, shares.senseless), n, generator)
    where = torch.randint(steps, (n,), generator=generator)
    by = torch.randint(1, 10, (n,), generator=generator)
    noise = torch.randint(10, (2, n, steps), generator=generator)
    mode = torch.randint(modes, (n,), generator=generator) if modes else None
    hint = hints(chain, n, generator)
    right = chain.right(operands, mode, hint).values
    kinds = torch.stack(
        [
            right,
            slipped(right, where, by, carried=True),
            slipped(right, where, by, carried=False),
            chain.states(others),
            noise[0],
        ]
    )
    copies = torch.stack([operands, operands, operands, others, noise[1]])
    chosen = kind[:, None].expand(-1, steps)[None]
    words = chain.choose(n, generator)
    return Drafts(operands, copies.gather(0, chosen)[0], kinds.gather(0, chosen)[0], mode, hint, words)


def cuts(sheet: Sheet, n: int, generator: Generator) -> Int[Tensor, " batch"]:
    """How many tokens of each of `n` chains of thought are kept; -1 for a question asked without one."""
    whole = len(sheet.cot)
    at_step = sheet.borders[torch.randint(len(sheet.borders), (n,), generator=generator)]
    anywhere = torch.randint(whole, (n,), generator=generator)
    choices = torch.stack([torch.full((n,), whole), at_step, anywhere, torch.full((n,), -1)])
    return choices.gather(0, pick((WHOLE, AT_STEP, ANYWHERE, NO_COT), n, generator)[None])[0]


def rows(sheet: Sheet, drafts: Drafts, label: Label, shows: Shows, generator: Generator) -> Rows:
    """The drafts as token rows with their lessons: cut, and filled up where they are, as `shows` says."""
    n = len(drafts.operands)
    kept = torch.full((n,), len(sheet.cot)) if shows == "whole" else cuts(sheet, n, generator)
    filled = (kept >= 0) & (torch.rand(n, generator=generator) < FILLED) if shows == "filled" else None
    return sheet.fill(drafts, kept, label(drafts, sheet.shown(kept), generator), filled)
