"""Having things written before conditions are run: rounds of requests, until no assay asks for anything new.

All requests of a round, of all cases, are answered together: those that continue one chain of thought share its
beginning, which is read once.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from faithlens.assays.assay import Assay, Setting, TextRequest, WritingAssay
from faithlens.assays.cases import split_chain
from faithlens.errors import TraceError
from faithlens.execution.sample import Continuation, sample
from faithlens.interventions.case import Case, GeneratedText
from faithlens.interventions.editor import ModelEditor
from faithlens.model.model import Model
from faithlens.model.trace import Piece, split_thoughts
from faithlens.tasks.seeds import derive_seed


@dataclass(frozen=True)
class PendingRequest:
    """One request of one case, and its seed."""

    case_index: int
    request: TextRequest
    seed: int


def generate_texts(
    setting: Setting,
    cases: Sequence[Case],
    assays: Iterable[Assay],
    notify: Callable[[int], None] = lambda tokens: None,
) -> list[Case]:
    """The cases, with everything written that `assays` ask for."""
    asking, cases = [assay for assay in assays if isinstance(assay, WritingAssay)], list(cases)
    while wanted := list(list_pending(setting, cases, asking)):
        for one, written in zip(wanted, answer_requests(setting, wanted, notify), strict=True):
            case = cases[one.case_index]
            cases[one.case_index] = replace(case, generated_texts={**case.generated_texts, one.request.name: written})
    return cases


def list_pending(
    setting: Setting, cases: Sequence[Case], writing_assays: Sequence[WritingAssay]
) -> Iterable[PendingRequest]:
    """What is asked for and not written yet, each name of a case once."""
    for i, case in enumerate(cases):
        asked = {ask.name: ask for assay in writing_assays for ask in assay.requests(setting, case)}
        for name, ask in asked.items():
            if name not in case.generated_texts:
                yield PendingRequest(i, ask, derive_seed(f"{setting.seed}:{case.key}:{name}"))


def answer_requests(
    setting: Setting, pending: Sequence[PendingRequest], notify: Callable[[int], None]
) -> list[GeneratedText]:
    """What was written for each request, in the order given; requests of one kind are written in one go."""
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
    """The editor's answers."""
    editor = setting.editor or ModelEditor(setting.model, setting.sampling)
    requests = [one.request.context for one in pending if isinstance(one.request.context, str)]
    return [GeneratedText(answer) for answer in editor.write(requests, [one.seed for one in pending])]


def continue_texts(
    setting: Setting, pending: Sequence[PendingRequest], notify: Callable[[int], None]
) -> list[GeneratedText]:
    """How the model goes on, under the sampling of the chains themselves."""
    model = setting.model
    thoughts = model.thinking if pending[0].request.has_open_thoughts else None
    drawn = sample(
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
    written = [cut_at_thoughts_end(model, each) if thoughts else each for each in drawn]
    return [
        each
        if isinstance(each, GeneratedText)
        else to_generated_text(model, trim_unfinished_step(model, each) if one.request.drops_unfinished_step else each)
        for one, each in zip(pending, written, strict=True)
    ]


def trim_unfinished_step(model: Model, continuation: Continuation) -> Continuation:
    """What was sampled, without a last step that the token limit broke off, unless it is the only one."""
    if continuation.finish == "stop" or not to_generated_text(model, continuation).text.strip():
        return continuation
    steps = split_chain(model, continuation.prompt, continuation.ids, continuation.finish).steps
    return replace(continuation, ids=tuple(token for step in steps for token in step.ids))


def to_generated_text(model: Model, continuation: Continuation) -> GeneratedText:
    """What was sampled, as text too."""
    text = model.decode((*continuation.prompt, *continuation.ids))[len(model.decode(continuation.prompt)) :]
    return GeneratedText(text, continuation.ids, continuation.finish)


def cut_at_thoughts_end(model: Model, continuation: Continuation) -> Continuation | GeneratedText:
    """What was sampled up to where the thoughts end; not to be answered after where they do not."""
    try:
        ids, _ = split_thoughts(model, continuation.prompt, continuation.ids, continuation.finish)
    except TraceError as error:
        return replace(to_generated_text(model, continuation), unusable_reason=error.problem)
    return replace(continuation, ids=ids, finish="stop")  # closed thoughts were not broken off
