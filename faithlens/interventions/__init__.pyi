"""The public names of `faithlens.interventions`, and where each lives."""

from .knockout import hide, hide_steps
from .rewriting import replace_step
from .swap import make_swaps
from .truncation import make_full_cot, make_no_cot, truncate, truncate_stepwise

__all__ = [
    "hide",
    "hide_steps",
    "make_full_cot",
    "make_no_cot",
    "make_swaps",
    "replace_step",
    "truncate",
    "truncate_stepwise",
]
