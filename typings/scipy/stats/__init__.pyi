"""The distributions and tests that faithlens calls."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

Alternative = Literal["two-sided", "less", "greater"]
Floats = NDArray[np.float64]

class Distribution:
    """A distribution whose parameters come after the point; a point that is one number gives one number."""

    @overload
    def cdf(self, x: float, *parameters: float) -> float: ...
    @overload
    def cdf(self, x: ArrayLike, *parameters: ArrayLike) -> Floats: ...
    @overload
    def sf(self, x: float, *parameters: float) -> float: ...
    @overload
    def sf(self, x: ArrayLike, *parameters: ArrayLike) -> Floats: ...
    @overload
    def ppf(self, q: float, *parameters: float) -> float: ...
    @overload
    def ppf(self, q: ArrayLike, *parameters: ArrayLike) -> Floats: ...

beta: Distribution
binom: Distribution
norm: Distribution
t: Distribution

class TestResult:
    statistic: float
    pvalue: float

class PermutationResult(TestResult):
    null_distribution: Floats

class Interval:
    low: float
    high: float

class BinomTestResult(TestResult):
    def proportion_ci(
        self, confidence_level: float = ..., method: Literal["exact", "wilson", "wilsoncc"] = ...
    ) -> Interval: ...

def binomtest(k: int, n: int, p: float = ..., alternative: Alternative = ...) -> BinomTestResult: ...
def kendalltau(
    x: ArrayLike, y: ArrayLike, *, alternative: Alternative = ..., method: Literal["auto", "asymptotic", "exact"] = ...
) -> TestResult: ...
def kurtosis(a: ArrayLike, axis: int | None = ..., fisher: bool = ..., bias: bool = ...) -> Floats: ...
def page_trend_test(data: ArrayLike) -> TestResult: ...
def permutation_test(
    data: Sequence[ArrayLike],
    statistic: Callable[..., Any],
    *,
    permutation_type: Literal["independent", "samples", "pairings"] = ...,
    vectorized: bool | None = ...,
    n_resamples: int = ...,
    batch: int | None = ...,
    alternative: Alternative = ...,
    axis: int = ...,
    rng: np.random.Generator | None = ...,
) -> PermutationResult: ...
def rankdata(a: ArrayLike, method: str = ..., *, axis: int | None = ...) -> Floats: ...
def spearmanr(a: ArrayLike, b: ArrayLike) -> TestResult: ...
