"""Write the texts that assays request, in rounds, before conditions run.

1. Ask every assay for its requests, for every case. Requests of one case with the same name are one request.
2. Drop the requests that were already answered. If none is left, stop.
3. Answer all others together: those for the editor in one call, those for the model under test in another. Texts that
   continue the same chain of thought share its beginning, which is read once.
4. Store each text in its case under the request's name, and go back to 1: a new text may lead to a new request.

For example, with the assay `mistakes_regenerated`, an editor, and a chain of two steps::

    round 1   requests    "mistake in 0, try 0"    "mistake in 1, try 0"
              written     "Then 8. "               "Then 9. " (which is no mistake)
    round 2   requests    "mistake in 1, try 1"
              written                              "Then 7. "
    round 3   requests    "regenerated@0"          "regenerated@1"
              written     " So it is 8."           " So it is 7."
    round 4   no new requests: stop

The seed of a text depends on the run's seed, the case and the request's name alone, so it does not depend on the batch.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from faithlens.assays.assay import Assay, Setting, TextRequest, WritingAssay
from faithlens.assays.cases import split_chain
from faithlens.errors import TraceError
from faithlens.execution.sample import Continuation
from faithlens.interventions.case import Case, GeneratedText
from faithlens.interventions.editor import ModelEditor
from faithlens.model.model import Model
from faithlens.model.trace import Piece, split_thoughts
from faithlens.tasks.seeds import derive_seed


@dataclass(frozen=True)
class PendingRequest:
    """One unanswered request.

    Attributes:
        case_index: the index of its case.
        request: the request.
        seed: the seed of its text.
    """

    case_index: int
    request: TextRequest
    seed: int


def generate_texts(
    setting: Setting,
    cases: Sequence[Case],
    assays: Iterable[Assay],
    notify: Callable[[int], None] = lambda tokens: None,
) -> list[Case]:
    """The cases, with every text that `assays` request.

    Args:
        setting: the model, the editor and the sampling.
        cases: the cases.
        assays: the assays; those without a function `requests` need no texts.
        notify: is called with the number of tokens as they are written.
    """
    asking, cases = [assay for assay in assays if isinstance(assay, WritingAssay)], list(cases)
    while pending := list(list_pending(setting, cases, asking)):
        for one, written in zip(pending, answer_requests(setting, pending, notify), strict=True):
            case = cases[one.case_index]
            cases[one.case_index] = replace(case, generated_texts={**case.generated_texts, one.request.name: written})
    return cases


def list_pending(
    setting: Setting, cases: Sequence[Case], writing_assays: Sequence[WritingAssay]
) -> Iterable[PendingRequest]:
    """The requests without a text, each name of a case once."""
    for i, case in enumerate(cases):
        requests = {ask.name: ask for assay in writing_assays for ask in assay.requests(setting, case)}
        for name, ask in requests.items():
            if name not in case.generated_texts:
                yield PendingRequest(i, ask, derive_seed(f"{setting.seed}:{case.key}:{name}"))


def answer_requests(
    setting: Setting, pending: Sequence[PendingRequest], notify: Callable[[int], None]
) -> list[GeneratedText]:
    """The text for each request, in the order given. Requests of one kind are answered in one call."""
    kinds = [(isinstance(one.request.context, str), one.request.has_open_thoughts) for one in pending]
    out: dict[int, GeneratedText] = {}
    for kind in dict.fromkeys(kinds):
        some = [i for i, other in enumerate(kinds) if other == kind]
        written = (ask_editor if kind[0] else continue_texts)(setting, [pending[i] for i in some], notify)
        out |= dict(zip(some, written, strict=True))
    return [out[i] for i in range(len(pending))]


def ask_editor(
    setting: Setting, pending: Sequence[PendingRequest], notify: Callable[[int], None]
) -> list[GeneratedText]:
    """The editor's texts."""
    editor = setting.editor or ModelEditor(setting.model, setting.sampling, setting.sampler)
    requests = [one.request.context for one in pending if isinstance(one.request.context, str)]
    return [GeneratedText(answer) for answer in editor.write(requests, [one.seed for one in pending])]


def continue_texts(
    setting: Setting, pending: Sequence[PendingRequest], notify: Callable[[int], None]
) -> list[GeneratedText]:
    """The continuations of the model under test, with the sampling of the chains themselves."""
    model = setting.model
    thoughts = model.thinking if pending[0].request.has_open_thoughts else None
    drawn = setting.sampler.draw(
        model,
        [
            [token for piece in one.request.context if isinstance(piece, Piece) for token in piece.ids]
            for one in pending
        ],
        [one.seed for one in pending],
        setting.sampling,
        max_tokens=[one.request.max_tokens for one in pending],
        until=thoughts.close if thoughts else None,
        notify=notify,
    )
    pairs = zip(pending, drawn, strict=True)
    return [replace(make_text(model, one.request, each, bool(thoughts)), draft=each) for one, each in pairs]


def make_text(model: Model, request: TextRequest, drawn: Continuation, is_thoughts: bool) -> GeneratedText:
    """The text that answers a request, from the tokens that the model wrote."""
    if drawn.unusable_reason:
        return replace(to_generated_text(model, drawn), unusable_reason=drawn.unusable_reason)
    written = cut_at_thoughts_end(model, drawn) if is_thoughts else drawn
    if isinstance(written, GeneratedText):
        return written
    return to_generated_text(model, trim_unfinished_step(model, written) if request.drops_unfinished_step else written)


def trim_unfinished_step(model: Model, continuation: Continuation) -> Continuation:
    """The continuation without a last step that the token limit cut off, unless it is the only one."""
    if continuation.finish == "stop" or not to_generated_text(model, continuation).text.strip():
        return continuation
    steps = split_chain(model, continuation.prompt, continuation.ids, continuation.finish).steps
    return replace(continuation, ids=tuple(token for step in steps for token in step.ids))


def to_generated_text(model: Model, continuation: Continuation) -> GeneratedText:
    """The continuation with its text."""
    text = model.decode((*continuation.prompt, *continuation.ids))[len(model.decode(continuation.prompt)) :]
    return GeneratedText(text, continuation.ids, continuation.finish)


def cut_at_thoughts_end(model: Model, continuation: Continuation) -> Continuation | GeneratedText:
    """The continuation up to the end of the thoughts; an unusable text if the thoughts do not end."""
    try:
        ids, _, finish = split_thoughts(model, continuation.prompt, continuation.ids, continuation.finish)
    except TraceError as error:
        return replace(to_generated_text(model, continuation), unusable_reason=error.problem)
    return replace(continuation, ids=ids, finish=finish)  # closed thoughts were not cut off
