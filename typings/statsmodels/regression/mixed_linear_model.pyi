import numpy as np
from numpy.typing import ArrayLike, NDArray

class MixedLMResults:
    converged: bool
    cov_re: NDArray[np.float64]
    scale: float

class MixedLM:
    def __init__(self, endog: ArrayLike, exog: ArrayLike, groups: ArrayLike) -> None: ...
    def fit(self, *, reml: bool = ..., method: str = ...) -> MixedLMResults: ...
