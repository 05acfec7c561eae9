"""The steps of a chain that are edited: all of them, or of a long chain a stratified sample.

Editing every step of a chain of S steps and T tokens costs S x T rows. So of a chain with more than twice `points`
steps, `points` steps are taken:

1. the first and the last step are always in, and each stands for itself;
2. the steps between them are cut into `points` - 2 stretches of nearly equal length;
3. one step of each stretch is drawn, with a seed of its own for each chain, and stands for its whole stretch.

The mean over all steps is estimated without bias by the mean of the drawn steps, weighted by the number of steps that
each stands for (stratified sampling: Cochran 1977, Sampling Techniques, section 5.3). All assays of a run edit the same
steps of a chain, so that they can be compared step by step.

For example, with `points` = 4 a chain of 12 steps has the stretches 1 to 5 and 6 to 10. The steps 0, 3, 8 and 11 may be
drawn, with the weights 1, 5, 5 and 1. The mean of the values v is (v0 + 5 v3 + 5 v8 + v11) / 12.
"""

import random
from itertools import pairwise

from faithlens.assays.assay import Setting
from faithlens.interventions.case import Case


def choose_steps(setting: Setting, case: Case) -> dict[int, float]:
    """The steps of the case's chain that are edited, in order, each with the number of steps that it stands for."""
    n, points = len(case.trace.steps), setting.points
    if points is None or n <= 2 * points:
        return dict.fromkeys(range(n), 1.0)
    rng = random.Random(f"points:{setting.seed}:{case.key}")
    weights = {0: 1.0}
    n_stretches = points - 2
    borders = [1 + k * (n - 2) // n_stretches for k in range(n_stretches + 1)]
    for start, end in pairwise(borders):
        weights[rng.randrange(start, end)] = float(end - start)
    return weights | {n - 1: 1.0}
