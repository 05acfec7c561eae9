"""How good are approximate effects? They are compared with exact ones before they are shown.

1. Keep the cells whose exact effect is known.
2. Among these, call an exact effect negligible if it is below a hundredth of the largest one.
3. `sign_agreement` is the share of the other cells in which both effects have the same sign.
4. `rank_correlation` is Spearman's, over all cells of step 1; effects below `NEGLIGIBLE_EFFECT` are ties.
5. `top_overlap` is the share of the strongest fifth of exact effects that is also in the strongest fifth of
   approximate ones.
6. Results refuse to show approximations whose `sign_agreement` is below `MIN_SIGN_AGREEMENT`.

For example, with five cells of which the last has a negligible exact effect::

    exact          2.0   1.0  -1.0   0.5   0.001
    approximate    1.5   1.2  -0.8  -0.1   0.3
    same sign      yes   yes   yes   no    (not counted)

    sign_agreement   = 3 / 4 = 0.75, which is below 0.8, so the approximation is refused
    rank_correlation = 0.9: the ranks are 5 4 1 3 2 and 5 4 1 2 3
    top_overlap      = 1.0, because the strongest cell is the first one for both
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import rankdata

from faithlens.errors import MeasureError

MIN_SIGN_AGREEMENT = 0.8  # share of the signs that must be right
NEGLIGIBLE_EFFECT = 1e-3  # logits: if no exact effect is larger, there is no effect


@dataclass(frozen=True)
class ApproximationQuality:
    """How well approximate effects agree with exact ones, over all cells of all traces.

    Attributes:
        n_cells: the number of cells that were compared.
        pearson: the correlation of the two; NaN if one of them does not vary.
        rank_correlation: Spearman's correlation of the two, where effects below `NEGLIGIBLE_EFFECT` are ties; NaN if
            one of them does not vary.
        sign_agreement: the share of the cells with a non-negligible exact effect in which the sign is right.
        top_overlap: the share of the strongest fifth of exact effects that is also in the strongest fifth of
            approximate ones.
    """

    n_cells: int
    pearson: float
    rank_correlation: float
    sign_agreement: float
    top_overlap: float

    def describe(self) -> str:
        """The agreement in words."""
        return (
            f"against {self.n_cells} exact patches: rank correlation {self.rank_correlation:.2f}, same sign in"
            f" {self.sign_agreement:.0%}"
        )


def assess_approximation(
    approximate: Float[np.ndarray, "trace layer step"], exact: Float[np.ndarray, "trace layer step"]
) -> ApproximationQuality:
    """Compare approximate with exact effects.

    If the largest exact effect is below `NEGLIGIBLE_EFFECT`, `sign_agreement` is the share of the approximate effects
    that are below it too.

    Args:
        approximate: the approximate effects, in logits; the last axis may also be the heads.
        exact: the exact effects, in logits, of the same shape; NaN where they are not known.

    Raises:
        MeasureError: no exact effect is known.
    """
    known = np.isfinite(exact)
    if not known.any():
        raise MeasureError(
            "approximate effects are compared with exact ones, but no cell was patched exactly",
            "Raise `top` or `n_checked`.",
        )
    approximate_cells, exact_cells = approximate[known], exact[known]
    largest = np.abs(exact_cells).max()
    counted = np.abs(exact_cells) >= 0.01 * largest
    is_right = (
        (np.sign(approximate_cells) == np.sign(exact_cells))[counted]
        if largest > NEGLIGIBLE_EFFECT
        else np.abs(approximate_cells) <= NEGLIGIBLE_EFFECT
    )
    ranks = [rankdata(np.where(np.abs(x) < NEGLIGIBLE_EFFECT, 0, x)) for x in (approximate_cells, exact_cells)]
    varies = len(exact_cells) > 1 and approximate_cells.std() > 0 and exact_cells.std() > 0
    ranks_vary = all(np.ptp(each) > 0 for each in ranks)
    n_strongest = max(1, len(exact_cells) // 5)
    first, second = (set(np.argsort(-np.abs(x))[:n_strongest]) for x in (approximate_cells, exact_cells))
    return ApproximationQuality(
        n_cells=len(exact_cells),
        pearson=float(np.corrcoef(approximate_cells, exact_cells)[0, 1]) if varies else float("nan"),
        rank_correlation=float(np.corrcoef(ranks[0], ranks[1])[0, 1]) if ranks_vary else float("nan"),
        sign_agreement=float(is_right.mean()),
        top_overlap=len(first & second) / n_strongest,
    )


def check_approximation(quality: ApproximationQuality, name: str) -> None:
    """Refuse approximations that are not good enough to be shown.

    Args:
        quality: the comparison with exact effects.
        name: what was approximated, for the error.

    Raises:
        MeasureError: `sign_agreement` is below `MIN_SIGN_AGREEMENT`.
    """
    if not quality.sign_agreement >= MIN_SIGN_AGREEMENT:
        raise MeasureError(
            f"the {name} must have the sign of the exact effect in at least {MIN_SIGN_AGREEMENT:.0%} of the cells, and"
            f" the signs agree with exact patching in {quality.sign_agreement:.0%} of {quality.n_cells} cells",
            "Use exact patches, or more midpoints.",
        )
