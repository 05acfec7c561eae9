"""The public names of `faithlens.stats`, and where each lives."""

from .agreement import Reliability, compute_correlation_ceiling, compute_rank_agreement, compute_reliability
from .compare import Difference, compare_scores
from .estimate import compute_estimates
from .grid import find_cell
from .interval import Estimate
from .power import Power, compute_power_after, compute_power_before
from .resample import compute_exact_interval
from .reversed_pairs import PairFlags, flag_pairs, flag_scores
from .scaling.by_family import answer_by_difficulty, answer_by_size
from .scaling.difficulty import DifficultyTrend, compute_difficulty_trend
from .scaling.equal_accuracy import estimate_size_effects
from .scaling.size_effect import SizeEffect
from .verdict import Criteria, Verdict, decide_subject

__all__ = [
    "Criteria",
    "Difference",
    "DifficultyTrend",
    "Estimate",
    "PairFlags",
    "Power",
    "Reliability",
    "SizeEffect",
    "Verdict",
    "answer_by_difficulty",
    "answer_by_size",
    "compare_scores",
    "compute_correlation_ceiling",
    "compute_difficulty_trend",
    "compute_estimates",
    "compute_exact_interval",
    "compute_power_after",
    "compute_power_before",
    "compute_rank_agreement",
    "compute_reliability",
    "decide_subject",
    "estimate_size_effects",
    "find_cell",
    "flag_pairs",
    "flag_scores",
]
