"""What to keep of a pass besides the answers, and what comes back for each condition."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

from faithlens.runtime.plan import Condition


@dataclass(frozen=True)
class Capture:
    """What to read while the model runs.

    Attributes:
        attention: the readers whose attention to every piece is kept, per layer and head. "answer" is the row that
            predicts the answer (the stem's last token); any other name is a piece, read as the mean over its tokens.
            A condition without that piece is read without it.
    """

    attention: tuple[str, ...] = ()

    def rows(self, condition: Condition) -> dict[str, range]:
        """The positions of `condition` that each reader stands for."""
        last = len(condition.ids) - 1
        spans = condition.spans | {"answer": (last, last + 1)}
        return {name: range(*spans[name]) for name in self.attention if name in spans}


@dataclass(frozen=True, eq=False)
class Record:
    """What one condition gave, in its own coordinates.

    Attributes:
        condition: the condition that was run.
        logprobs: log-probability of each option's full token string, in nats.
        attention: for each reader, the fraction of its attention on each piece of `condition.pieces`.
    """

    condition: Condition
    logprobs: Float[Tensor, " option"]
    attention: Mapping[str, Float[Tensor, "layer head span"]] = field(default_factory=dict)
