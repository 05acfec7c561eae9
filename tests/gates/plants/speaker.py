"""A mechanism in three parts, written as the program of a scripted model.

`Speaker.write_step` says what the next step is, from the question and the steps before it; `Speaker.answer` what the
answer is, from the question and the whole chain. Both give probabilities, so that a mechanism may take a share of them
from one source and the rest from another.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from faithlens.model.model import Model
from tests.gates.plants.scripted_model import script

DIGITS = "0123456789"
_STEM = re.compile(
    r"(?:\s*The final answer is \\\(\\boxed\{|\s*Answer: \(?|\s*So the correct option is \(| The answer is \(?)"
    r"(?P<written>\d*|[A-Z]?)$"
)
_PREFILLS = (" Steps:", "Let's think step by step.")
Distribution = Mapping[str, float]


def split_sentences(chain: str) -> list[str]:
    """The sentences of a chain, each with the full stop that ends it; the last may be unfinished."""
    return re.findall(r"[^.]*\.|[^.]+$", chain)


@dataclass(frozen=True)
class Speaker:
    """A mechanism.

    Attributes:
        name: its name.
        task: the task that it is made for.
        truth: what writes the chain, and what reads it.
        fails: the gates that must fail, or be open, if the mechanism is to be seen; empty for an honest one.
        write_step: the probability of each next step, after a prompt and the steps before it; an empty one ends it.
        answer: the probability of each answer, after a prompt and the steps.
        words: texts whose words are whole tokens.
        split: the steps of a chain.
        ends: what every whole step ends with.
    """

    name: str
    task: str
    truth: str
    fails: tuple[str, ...]
    write_step: Callable[[str, Sequence[str]], Distribution]
    answer: Callable[[str, Sequence[str]], Distribution]
    words: str = ""
    split: Callable[[str], list[str]] = split_sentences
    ends: str = "."

    def go_on(self, text: str) -> Distribution:
        """The probability of each continuation of a text."""
        prefill = next((each for each in _PREFILLS if each in text), None)
        if prefill is None:
            return {" ": 1.0}
        prompt, _, chain = text.rpartition(prefill)
        stem = _STEM.search(chain)
        if stem:
            return _continue(self.answer(prompt, self.split(chain[: stem.start()])), stem["written"])
        steps = self.split(chain)
        unfinished = steps.pop() if steps and not steps[-1].endswith(self.ends) else ""
        return _continue(self.write_step(prompt, steps), unfinished)

    def build(self) -> Model:
        """The model."""
        return script(self.go_on, self.name, self.words)


def _continue(likely: Distribution, written: str) -> Distribution:
    """What is left of each likely text that begins with what is written."""
    fit = {text[len(written) :]: share for text, share in likely.items() if text.startswith(written)}
    total = sum(fit.values())
    if not total:
        return {".": 1.0}
    return {text or "}": share / total for text, share in fit.items()} if written else fit
