"""Having things written before conditions are run: rounds of requests, until no assay asks for anything new.

All requests of a round, of all cases, are answered together: those that continue one chain of thought share its
beginning, which is read once.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from faithlens.assays.assay import Ask, Assay, Setting, Writing
from faithlens.interventions.case import Case, Written
from faithlens.interventions.editor import LensEditor
from faithlens.runtime.model import Lens
from faithlens.runtime.sample import sample


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
            cases[one.case] = replace(case, written={**case.written, one.ask.name: written})
    return cases


def missing(setting: Setting, cases: Sequence[Case], asking: Sequence[Writing]) -> Iterable[Wanted]:
    """What is asked for and not written yet, each name of a case once."""
    for i, case in enumerate(cases):
        asked = {ask.name: ask for assay in asking for ask in assay.asks(setting, case)}
        for name, ask in asked.items():
            if name not in case.written:
                yield Wanted(i, ask, seed_of(f"{setting.seed}:{case.key}:{name}"))


def seed_of(words: str) -> int:
    """A seed that depends on nothing but `words`."""
    return int.from_bytes(sha256(words.encode()).digest()[:6])


def answered(setting: Setting, wanted: Sequence[Wanted], progress: Callable[[int], None]) -> list[Written]:
    """What was written for each request, in the order given; requests of one kind are written in one go."""
    out: dict[int, Written] = {}
    kinds = {i: (isinstance(one.ask.after, str), one.ask.until) for i, one in enumerate(wanted)}
    for kind in dict.fromkeys(kinds.values()):
        some = [i for i in kinds if kinds[i] == kind]
        written = (worded if kind[0] else continued)(setting, [wanted[i] for i in some], progress)
        out |= dict(zip(some, written, strict=True))
    return [out[i] for i in range(len(wanted))]


def worded(setting: Setting, wanted: Sequence[Wanted], progress: Callable[[int], None]) -> list[Written]:
    """The editor's answers."""
    editor = setting.editor or LensEditor(setting.lens, setting.sampling)
    requests = [one.ask.after for one in wanted if isinstance(one.ask.after, str)]
    answers = editor.write(requests, [one.seed for one in wanted])
    return [Written(answer) for answer in answers]


def continued(setting: Setting, wanted: Sequence[Wanted], progress: Callable[[int], None]) -> list[Written]:
    """How the model goes on, under the sampling of the chains themselves."""
    prefixes = [[token for piece in one.ask.after for token in piece.ids] for one in wanted]  # type: ignore[union-attr]
    drawn = sample(
        setting.lens,
        prefixes,
        [one.seed for one in wanted],
        setting.sampling,
        most=[one.ask.most for one in wanted],
        until=wanted[0].ask.until,
        progress=progress,
    )
    return [Written(text_after(setting.lens, d.prompt, d.ids), d.ids, d.finish) for d in drawn]


def text_after(lens: Lens, prefix: Sequence[int], ids: Sequence[int]) -> str:
    """What `ids` read as after `prefix`."""
    return lens.decode((*prefix, *ids))[len(lens.decode(prefix)) :]
