"""The plain sampler with a record of what it drew before."""

from collections.abc import Callable, Sequence

from faithlens.execution.options import Sampling
from faithlens.execution.sample import Continuation, SampleRequest
from faithlens.execution.samplers.own import OwnSampler
from faithlens.model.model import Model


class RecordedSampler(OwnSampler):
    """Gives the continuations of a call from the record, and draws those of a call that is not in it.

    A call is in the record if each of its prompts is, with its seed. Any other call is drawn as a whole: what is drawn
    together rounds together, so a part of a call may differ in its last digits.
    """

    def __init__(self, record: Sequence[Continuation]) -> None:
        self._record = {(each.prompt, each.seed): each for each in record}

    def _continue(
        self,
        model: Model,
        requests: list[SampleRequest],
        sampling: Sampling,
        until: str | None,
        notify: Callable[[int], None],
    ) -> list[Continuation]:
        known = [each for request in requests if (each := self._record.get((request.prompt, request.seed)))]
        return known if len(known) == len(requests) else super()._continue(model, requests, sampling, until, notify)
