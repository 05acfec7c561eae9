"""How often 95 % intervals cover the truth, for every rule of `stats.interval` and `stats.derived`.

``python -m benchmarks.coverage`` makes the whole table in a few minutes on one core; benchmarks/coverage.md shows it.
`tests/stats/test_coverage.py` runs a slice of it. Every world draws new questions of a known mean: several samples in
each, with sizes that may differ sixfold or go along with what is measured.

The rule for numbers without ends was chosen on `UNBOUNDED_WORLDS` and, for its long tail, on the lognormal of sigma 1.
The other `NEW_WORLDS` and the sizes `NEW_KINDS` were written after the first choice, `HEAVY_WORLDS` after the second,
and no rule was changed for them: ``python -m benchmarks.coverage --new`` makes their table.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from faithlens.stats.derived import _is_possible_hint_outcome, _make_switch_columns, compute_alpha, divide_means
from faithlens.stats.resample import (
    Array,
    compute_bounded_intervals,
    compute_exact_interval,
    compute_statistic_interval,
    compute_unbounded_intervals,
)

Draw = Callable[[np.random.Generator, tuple[int, int]], Array]
N_SEEDS = 10
"""Seeds of the draws of the intervals; each serves a share of the repeats."""

SIZES = (2, 3, 4, 5, 8, 12, 24, 60)


class World(NamedTuple):
    """Values of questions and their mean: `draw` gives [question, repeat]."""

    name: str
    draw: Draw
    mean: float


def mix(share: float, first: Draw, second: Draw) -> Draw:
    """Questions of two kinds, of which a share is of the first."""
    return lambda rng, shape: np.where(rng.random(shape) < share, first(rng, shape), second(rng, shape))


def draw_zeros(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Questions that all give 0."""
    return np.zeros(shape)


BOUNDED_WORLDS = (
    World("uniform", lambda rng, shape: rng.random(shape), 0.5),
    World("10 % at 0, others near 1", mix(0.1, draw_zeros, lambda rng, s: 1 - 0.004 * rng.random(s)), 0.8982),
    World("2 % at 1, others .1", mix(0.02, lambda rng, s: np.ones(s), lambda rng, s: np.full(s, 0.1)), 0.02 + 0.098),
    World("skewed, beta(.3, 2)", lambda rng, shape: rng.beta(0.3, 2, shape), 0.3 / 2.3),
    World("yes/no with .95", lambda rng, shape: (rng.random(shape) < 0.95) * 1.0, 0.95),
)  # fmt: skip
UNBOUNDED_WORLDS = (
    World("normal", lambda rng, shape: rng.normal(size=shape), 0.0),
    World("exponential", lambda rng, shape: rng.exponential(size=shape), 1.0),
    World("gamma(3)", lambda rng, shape: rng.gamma(3, size=shape), 3.0),
    World("Poisson(6)", lambda rng, shape: rng.poisson(6, shape) * 1.0, 6.0),
    World("two humps", mix(0.5, lambda rng, s: rng.normal(-3, 1, s), lambda rng, s: rng.normal(3, 1, s)), 0.0),
)
NEW_BOUNDED_WORLDS = (
    World("U-shaped, beta(.5, .5)", lambda rng, shape: rng.beta(0.5, 0.5, shape), 0.5),
    World("near 1, beta(5, .5)", lambda rng, shape: rng.beta(5, 0.5, shape), 5 / 5.5),
    World("0, 1/2 or 1", lambda rng, shape: rng.choice([0.0, 0.5, 1.0], shape, p=[0.1, 0.3, 0.6]), 0.75),
)
NEW_WORLDS = (
    World("Laplace", lambda rng, shape: rng.laplace(size=shape), 0.0),
    World("Student's t, 5 degrees", lambda rng, shape: rng.standard_t(5, shape), 0.0),
    World("Gumbel", lambda rng, shape: rng.gumbel(size=shape), float(np.euler_gamma)),
    World("lognormal, sigma .5", lambda rng, shape: rng.lognormal(0, 0.5, shape), float(np.exp(0.125))),
    World("lognormal, sigma 1", lambda rng, shape: rng.lognormal(0, 1, shape), float(np.exp(0.5))),
    World("Weibull(1.5)", lambda rng, shape: rng.weibull(1.5, shape), 0.9027452929509336),
    World("minus gamma(2)", lambda rng, shape: -rng.gamma(2, size=shape), -2.0),
    World("geometric(.3)", lambda rng, shape: rng.geometric(0.3, shape) * 1.0, 1 / 0.3),
    World("10 % wide", mix(0.1, lambda rng, s: rng.normal(0, 5, s), lambda rng, s: rng.normal(size=s)), 0.0),
    World("uniform", lambda rng, shape: rng.uniform(-1, 1, shape), 0.0),
)  # fmt: skip
HEAVY_WORLDS = (
    World("minus lognormal, sigma 1", lambda rng, shape: -rng.lognormal(0, 1, shape), -float(np.exp(0.5))),
    World("gamma(.5)", lambda rng, shape: rng.gamma(0.5, size=shape), 0.5),
    World("Weibull(.8)", lambda rng, shape: rng.weibull(0.8, shape), 1.1330030963193467),
    World("Pareto(3)", lambda rng, shape: 1 + rng.pareto(3, shape), 1.5),
    World("10 % five times as far", mix(0.1, lambda r, s: r.exponential(5, s), lambda r, s: r.exponential(1, s)), 1.4),
    World("lognormal, sigma 1.25", lambda rng, shape: rng.lognormal(0, 1.25, shape), float(np.exp(1.25**2 / 2))),
)  # fmt: skip
NEW_KINDS = ("Poisson", "one large")


def draw_counts(rng: np.random.Generator, kind: str, values: Array) -> Array:
    """Samples of each question: one, a few or many at random, or more where the value is high."""
    if kind == "one":
        return np.ones_like(values)
    if kind == "unequal":
        return np.where(rng.random(values.shape) < 0.3, 6.0, 1.0)
    if kind == "Poisson":
        return 1.0 + rng.poisson(3, values.shape)
    if kind == "one large":
        return np.where(np.arange(len(values))[:, None] == 0, 10.0, np.ones_like(values))
    return np.where(values > np.median(values), 3.0, 1.0)


def find_weighted_mean(world: World, kind: str, seed: int = 9) -> float:
    """The mean over samples in the whole population, which sizes that go along with values move."""
    if kind != "informative":
        return world.mean
    rng = np.random.default_rng(seed)
    values = world.draw(rng, (400_000, 1))
    counts = draw_counts(rng, kind, values)
    return float((values * counts).sum() / counts.sum())


def cover_means(world: World, n: int, kind: str, repeats: int, scale: tuple[float, float] | None) -> float:
    """The coverage of one rule for means in one world; NaN where no interval is given."""
    rng = np.random.default_rng([n, repeats])
    values = world.draw(rng, (n, repeats))
    counts = draw_counts(rng, kind, values) if kind != "informative" else np.where(
        values > np.median(world.draw(rng, (100_001, 1))), 3.0, 1.0
    )  # fmt: skip
    truth = find_weighted_mean(world, kind)
    low, high = np.concatenate(
        [
            _compute_intervals(values[:, part], counts[:, part], scale, seed)
            for seed, part in enumerate(np.array_split(np.arange(repeats), N_SEEDS))
        ],
        axis=1,
    )
    known = np.isfinite(low)
    return float(np.mean((low <= truth + 1e-12) & (truth <= high + 1e-12), where=known)) if known.any() else np.nan


def _compute_intervals(values: Array, counts: Array, scale: tuple[float, float] | None, seed: int) -> Array:
    """The ends of the intervals, [2, repeat], by the rule for this scale."""
    if scale is None:
        return np.stack(compute_unbounded_intervals(values * counts, counts, seed))
    ends = (np.full(values.shape[1], end) for end in scale)
    return np.stack(compute_bounded_intervals(values * counts, counts, *ends, seed))


def cover_shares(share: float, n: int) -> float:
    """The exact coverage of the interval of yes and no, by enumeration."""
    from scipy.stats import binom

    ends = [compute_exact_interval(k, n) for k in range(n + 1)]
    return float(sum(binom.pmf(k, n, share) for k, (low, high) in enumerate(ends) if low <= share <= high))


def cover_ratio(n: int, repeats: int) -> float:
    """The coverage of the share of 0.7 that a third of the questions have: a ratio of two means."""
    rng, hits = np.random.default_rng(n), []
    corners = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    for _ in range(repeats):
        below = (rng.random(n) < 1 / 3) * 1.0
        table = np.stack([below * (rng.random(n) < 0.7), below], axis=1)
        if below.sum() >= 2:
            low, high = compute_statistic_interval(table, divide_means, corners, 0)
            hits.append(low <= 0.7 <= high)
    return float(np.mean(hits))


def cover_alpha(n: int, repeats: int) -> float:
    """The coverage of alpha of a hint with five options, which 30 % of questions follow while 20 % wander."""
    rng, hits = np.random.default_rng(n), []
    corners = np.array(np.meshgrid(*[[0.0, 1.0]] * 3)).reshape(3, -1).T
    extremes = _make_switch_columns(corners[_is_possible_hint_outcome(corners)])
    truth = 1 - (0.2 * 0.75 / 3) / (0.3 + 0.2 / 4)
    for _ in range(repeats):
        kind = rng.choice(3, n, p=[0.35, 0.15, 0.5])  # switched, strayed, neither
        table = _make_switch_columns(np.stack([np.ones(n), (kind == 1) / 3, (kind == 0) * 1.0], axis=1))
        if table[:, 0].sum() >= 2:
            low, high = compute_statistic_interval(table, compute_alpha, extremes, 0)
            hits.append(low <= truth <= high)
    return float(np.mean(hits))


def list_coverages(sizes: Sequence[int], repeats: int) -> Iterator[tuple[str, str, str, int, float]]:
    """Rule, world, sizes of questions, number of questions and coverage; NaN where the interval is withheld."""
    for n in sizes:
        for kind in ("one", "unequal", "informative"):
            for worlds, scale, rule in ((BOUNDED_WORLDS, (0.0, 1.0), "bounded"), (UNBOUNDED_WORLDS, None, "no ends")):
                for world in worlds:
                    yield rule, world.name, kind, n, cover_means(world, n, kind, repeats, scale)
        for share in (0.5, 0.8, 0.98):
            yield "yes/no", f"share {share:g}", "one", n, cover_shares(share, n)
        yield "ratio", "0.7 of a third", "one", n, cover_ratio(n, repeats // 4)
        yield "alpha", "five options", "one", n, cover_alpha(n, repeats // 4)


def list_new_coverages(sizes: Sequence[int], repeats: int) -> Iterator[tuple[str, str, str, int, float]]:
    """The same of the worlds and sizes that no rule was chosen on."""
    for n in sizes:
        for kind in ("one", "unequal", "informative", *NEW_KINDS):
            for world in NEW_BOUNDED_WORLDS:
                yield "bounded", world.name, kind, n, cover_means(world, n, kind, repeats, (0.0, 1.0))
            for world in (*NEW_WORLDS, *HEAVY_WORLDS, *(UNBOUNDED_WORLDS if kind in NEW_KINDS else ())):
                yield "no ends", world.name, kind, n, cover_means(world, n, kind, repeats, None)


def main() -> None:
    """Print the table in Markdown, sizes of samples side by side."""
    import pandas as pd

    is_new = sys.argv[1:] == ["--new"]
    rows = list(list_new_coverages((5, 8, 12, 24, 60), 2000) if is_new else list_coverages(SIZES, 2000))
    table = pd.DataFrame(rows, columns=["rule", "world", "samples", "n", "coverage"])
    wide = table.pivot(index=["rule", "world", "samples"], columns="n", values="coverage")
    print("| rule | questions | samples | " + " | ".join(f"n = {n}" for n in wide.columns) + " |")
    print("|---" * (len(wide.columns) + 3) + "|")
    for names, row in wide.iterrows():
        numbers = ["withheld" if np.isnan(x) else f"{x:.3f}" for x in row]
        print("| " + " | ".join([*map(str, names), *numbers]) + " |")  # pyright: ignore[reportGeneralTypeIssues]


if __name__ == "__main__":
    main()
