"""Drafts by hand, and the layouts they are written in."""

import torch

from faithlens.organisms import ORGANISMS
from faithlens.organisms.drafts import Drafts
from faithlens.organisms.token_layout import TokenLayout
from faithlens.organisms.tokenizer import build_tokenizer

TOKENIZER = build_tokenizer()


SHEET = TokenLayout(TOKENIZER, 4)


def drafts(operands, copied, values, mode=None):
    numbers = (torch.tensor([x]) for x in (operands, copied, values))
    return Drafts(*numbers, None if mode is None else torch.tensor([mode]))


def sheet_of(name):
    planted = ORGANISMS[name]
    return planted.make_layout(build_tokenizer(planted.extra_words), 4)
