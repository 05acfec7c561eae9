"""A slice of `benchmarks.coverage`: every rule covers at least nominally to within .03, or gives no interval."""

import numpy as np
import pytest
from scipy.stats import t

from benchmarks.coverage import (
    BOUNDED_WORLDS,
    HEAVY_WORLDS,
    NEW_BOUNDED_WORLDS,
    NEW_WORLDS,
    UNBOUNDED_WORLDS,
    World,
    cover_alpha,
    cover_means,
    cover_ratio,
    cover_shares,
)
from faithlens.stats.resample import compute_unbounded_intervals

REPEATS = 1000  # a standard error of .007
SLACK = 0.015  # two of them


@pytest.mark.parametrize("kind", ["one", "unequal", "informative"])
@pytest.mark.parametrize("n", [2, 4, 12])
@pytest.mark.parametrize("world", BOUNDED_WORLDS, ids=lambda world: world.name)
def test_means_on_a_scale(world: World, n: int, kind: str) -> None:
    assert cover_means(world, n, kind, REPEATS, (0.0, 1.0)) >= 0.95 - SLACK


@pytest.mark.parametrize("kind", ["one", "unequal", "informative"])
@pytest.mark.parametrize("n", [5, 8, 24])
@pytest.mark.parametrize("world", UNBOUNDED_WORLDS, ids=lambda world: world.name)
def test_means_without_ends(world: World, n: int, kind: str) -> None:
    assert cover_means(world, n, kind, REPEATS, None) >= 0.92 - SLACK


@pytest.mark.parametrize("kind", ["unequal", "Poisson", "one large"])
@pytest.mark.parametrize("world", NEW_BOUNDED_WORLDS, ids=lambda world: world.name)
def test_means_on_a_scale_in_worlds_that_chose_no_rule(world: World, kind: str) -> None:
    assert cover_means(world, 8, kind, REPEATS, (0.0, 1.0)) >= 0.95 - SLACK


@pytest.mark.parametrize("kind", ["unequal", "Poisson", "one large"])
@pytest.mark.parametrize("world", NEW_WORLDS, ids=lambda world: world.name)
def test_means_without_ends_in_worlds_that_chose_no_rule(world: World, kind: str) -> None:
    assert cover_means(world, 8, kind, REPEATS, None) >= 0.92 - SLACK


@pytest.mark.parametrize("kind", ["one", "unequal", "informative", "Poisson", "one large"])
@pytest.mark.parametrize("n", [6, 12, 24])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_long_tail_of_a_lognormal_is_covered(sign: int, n: int, kind: str) -> None:
    world = World("", lambda rng, shape: sign * rng.lognormal(0, 1, shape), sign * float(np.exp(0.5)))
    assert cover_means(world, n, kind, REPEATS, None) >= 0.92 - SLACK


@pytest.mark.parametrize("world", HEAVY_WORLDS, ids=lambda world: world.name)
def test_heavier_tails_with_one_value_a_question(world: World) -> None:
    for n in (6, 24):
        assert cover_means(world, n, "one", REPEATS, None) >= 0.92 - SLACK


def test_values_without_a_longer_tail_keep_their_width() -> None:
    """Symmetric values have the tail of the nominal share on both sides; of few normal ones a long tail is likely."""
    values = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])[:, None]
    low, high = (float(end[0]) for end in compute_unbounded_intervals(values, np.ones_like(values), seed=0))
    assert low == pytest.approx(-high, rel=0.1)  # but for the random draws
    rng = np.random.default_rng(0)
    normal = rng.normal(size=(24, 400))
    low, high = compute_unbounded_intervals(normal, np.ones_like(normal), seed=0)
    student = 2 * t.ppf(0.975, 23) * normal.std(0, ddof=1) / np.sqrt(24)
    assert np.median((high - low) / student) < 1.1


@pytest.mark.parametrize("n", [2, 3, 4])
def test_means_without_ends_of_few_questions_have_no_interval(n: int) -> None:
    assert np.isnan(cover_means(UNBOUNDED_WORLDS[0], n, "one", 50, None))


@pytest.mark.parametrize("share", [0.02, 0.5, 0.8, 0.98])
@pytest.mark.parametrize("n", [2, 4, 12, 24])
def test_yes_and_no(share: float, n: int) -> None:
    assert cover_shares(share, n) >= 0.95


@pytest.mark.parametrize("n", [8, 24])
def test_quotients(n: int) -> None:
    assert cover_ratio(n, 300) >= 0.95 - 2 * SLACK
    assert cover_alpha(n, 300) >= 0.95 - 2 * SLACK
