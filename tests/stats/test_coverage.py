"""A slice of `benchmarks.coverage`: every rule covers at least nominally to within .03, or gives no interval."""

import numpy as np
import pytest

from benchmarks.coverage import (
    BOUNDED_WORLDS,
    NEW_BOUNDED_WORLDS,
    NEW_WORLDS,
    UNBOUNDED_WORLDS,
    World,
    cover_alpha,
    cover_means,
    cover_ratio,
    cover_shares,
)

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
    least = 0.87 if world.name == "lognormal, sigma 1" else 0.92  # too skewed: benchmarks/coverage.md says so
    assert cover_means(world, 8, kind, REPEATS, None) >= least - SLACK


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
