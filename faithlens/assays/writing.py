"""Having things written before conditions are run: rounds of requests, until no assay asks for anything new.

All requests of a round, of all cases, are answered together: those that continue one chain of thought share its
beginning, which is read once.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from faithlens.assays.assay import Ask, Assay, Setting, Writing
from faithlens.assays.cases import whole_steps
from faithlens.errors import TraceError
from faithlens.execution.sample import Continuation, sample
from faithlens.interventions.case import Case, GeneratedText
from faithlens.interventions.editor import ModelEditor
from faithlens.model.model import Model
from faithlens.model.thinking import Thinking
from faithlens.model.trace import Piece, make_trace
from faithlens.tasks.segmentation import split_steps


@dataclass(frozen=True)
class Wanted:
    """One request of one case, and its seed."""

    case: int
    ask: Ask
    seed: int


def write(
    setting: Setting,
    cases: Sequence[Case],
    assays: Iterable[Assay],
    progress: Callable[[int], None] = lambda tokens: None,
) -> list[Case]:
    """The cases, with everything written that `assays` ask for."""
    asking, cases = [assay for assay in assays if isinstance(assay, Writing)], list(cases)
    while wanted := list(missing(setting, cases, asking)):
        for one, written in zip(wanted, answered(setting, wanted, progress), strict=True):
            case = cases[one.case]
            cases[one.case] = replace(case, generated_texts={**case.generated_texts, one.ask.name: written})
    return cases


def missing(setting: Setting, cases: Sequence[Case], asking: Sequence[Writing]) -> Iterable[Wanted]:
    """What is asked for and not written yet, each name of a case once."""
    for i, case in enumerate(cases):
        asked = {ask.name: ask for assay in asking for ask in assay.asks(setting, case)}
        for name, ask in asked.items():
            if name not in case.generated_texts:
                yield Wanted(i, ask, seed_of(f"{setting.seed}:{case.key}:{name}"))


def seed_of(words: str) -> int:
    """A seed that depends on nothing but `words`."""
    return int.from_bytes(sha256(words.encode()).digest()[:6])


def answered(setting: Setting, wanted: Sequence[Wanted], progress: Callable[[int], None]) -> list[GeneratedText]:
    """What was written for each request, in the order given; requests of one kind are written in one go."""
    kinds = [(isinstance(one.ask.after, str), one.ask.thoughts) for one in wanted]
    out: dict[int, GeneratedText] = {}
    for kind in dict.fromkeys(kinds):
        some = [i for i, other in enumerate(kinds) if other == kind]
        written = (worded if kind[0] else continued)(setting, [wanted[i] for i in some], progress)
        out |= dict(zip(some, written, strict=True))
    return [out[i] for i in range(len(wanted))]


def worded(setting: Setting, wanted: Sequence[Wanted], progress: Callable[[int], None]) -> list[GeneratedText]:
    """The editor's answers."""
    editor = setting.editor or ModelEditor(setting.model, setting.sampling)
    requests = [one.ask.after for one in wanted if isinstance(one.ask.after, str)]
    return [GeneratedText(answer) for answer in editor.write(requests, [one.seed for one in wanted])]


def continued(setting: Setting, wanted: Sequence[Wanted], progress: Callable[[int], None]) -> list[GeneratedText]:
    """How the model goes on, under the sampling of the chains themselves."""
    model = setting.model
    thoughts = model.thinking if wanted[0].ask.thoughts else None
    drawn = sample(
        model,
        [[token for piece in one.ask.after if isinstance(piece, Piece) for token in piece.ids] for one in wanted],
        [one.seed for one in wanted],
        setting.sampling,
        max_tokens=[one.ask.most for one in wanted],
        until=thoughts.close if thoughts else None,
        notify=progress,
    )
    written = [end_of_thoughts(model, thoughts, each) if thoughts else each for each in drawn]
    return [
        each if isinstance(each, GeneratedText) else as_written(model, whole(model, each) if one.ask.whole else each)
        for one, each in zip(wanted, written, strict=True)
    ]


def whole(model: Model, drawn: Continuation) -> Continuation:
    """What was sampled, without a last step that the token limit broke off, unless it is the only one."""
    if drawn.finish == "stop" or not as_written(model, drawn).text.strip():
        return drawn
    steps = whole_steps(make_trace(model, drawn.prompt, drawn.ids, split_steps, drawn.finish)).steps
    return replace(drawn, ids=tuple(token for step in steps for token in step.ids))


def as_written(model: Model, drawn: Continuation) -> GeneratedText:
    """What was sampled, as text too."""
    text = model.decode((*drawn.prompt, *drawn.ids))[len(model.decode(drawn.prompt)) :]
    return GeneratedText(text, drawn.ids, drawn.finish)


def end_of_thoughts(model: Model, thoughts: Thinking, drawn: Continuation) -> Continuation | GeneratedText:
    """What was sampled up to where the thoughts end; not to be answered after where they do not."""
    try:
        ids, _ = thoughts.split_thoughts(model, drawn.prompt, drawn.ids, drawn.finish)
    except TraceError as error:
        return replace(as_written(model, drawn), unusable_reason=error.found)
    return replace(drawn, ids=ids, finish="stop")  # closed thoughts were not broken off
