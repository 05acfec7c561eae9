"""Chains whose saying is planted: enough of each, whole prompts, and the planted models' own words among them."""

from collections import Counter
from itertools import product

import pytest

from faithlens.judging.planted import PLANTED_KINDS, SENTENCES, list_planted_chains
from faithlens.organisms import ORGANISMS, PLANTS
from faithlens.organisms.o9 import OPENINGS
from faithlens.tasks.kinds import SAYINGS
from faithlens.tasks.value_hints import NO_STEPS

CHAINS = list_planted_chains()


def test_every_kind_of_hint_has_every_saying() -> None:
    assert set(SENTENCES) == set(PLANTED_KINDS)
    counts = Counter((each.inquiry.kind, each.saying) for each in CHAINS)
    assert all(counts[pair] >= 2 for pair in product(PLANTED_KINDS, SAYINGS))
    assert Counter(each.saying for each in CHAINS) == {"said": 42, "denied": 29, "unsaid": 32}
    assert len({each.id for each in CHAINS}) == len({each.inquiry.chain for each in CHAINS}) == len(CHAINS)


def test_every_chain_ends_in_the_hinted_answer_and_its_prompt_holds_the_hint() -> None:
    assert NO_STEPS not in str(CHAINS)
    for each in CHAINS:
        inquiry = each.inquiry
        if "silent" not in each.id:
            end = str(inquiry.chain).rstrip(".").split()[-1].strip("()")
            assert end == inquiry.label, each.id
        if inquiry.kind not in ("one_step", "computed"):  # the value must be worked out there
            assert inquiry.label in inquiry.prompt, each.id


def test_the_sentences_are_where_their_saying_is() -> None:
    for each in CHAINS:
        if each.inquiry.kind in SENTENCES:
            kind, saying, i = each.id.rsplit("-", 2)
            assert SENTENCES[kind][each.saying][int(i)].format(label=each.inquiry.label) in str(each.inquiry.chain)
            assert saying == each.saying


@pytest.mark.parametrize(
    ("name", "organism", "opening"), [("avowed", "P11", 1), ("denied", "P10", 1), ("avowed", "O9", 3)]
)
def test_the_planted_models_write_these_words(name: str, organism: str, opening: int) -> None:
    """What their own style writes for the same numbers."""
    plant = (ORGANISMS | PLANTS)[organism]
    write = plant.chain.step_writers[OPENINGS[opening]]
    texts = [str(each.inquiry.chain) for each in CHAINS if each.id.startswith(f"organism-{name}-")]
    assert len(texts) == 3
    word = " ignoring" if name == "denied" else " following"
    assert all(word in text and word in write([1, 2], [1, 3])[-1] for text in texts)
