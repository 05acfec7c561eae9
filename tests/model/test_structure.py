"""The forbidden edges of an organism, as intervals, against the mask that it is trained with."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from faithlens.model.structure import Structure
from faithlens.organisms.structure_mask import compute_visible

SECTIONS = (("steps", 2), ("answer", 3))
EDGES = st.sampled_from([(a, b) for a in ("question", "steps", "answer") for b in ("question", "steps") if a != b])


@given(st.lists(st.integers(0, 4), min_size=1, max_size=16), st.lists(EDGES, unique=True))
def test_intervals_are_the_mask_of_training(ids: list[int], forbidden: list[tuple[str, str]]) -> None:
    """Also if a section is opened a second time, which a model outside of its task may do."""
    structure = Structure(SECTIONS, tuple(forbidden))
    seen = torch.ones(len(ids), len(ids), dtype=torch.bool).tril()
    for i, hidden in enumerate(structure.list_hidden(ids)):
        for start, stop in hidden:
            seen[i, start:stop] = False
    assert torch.equal(seen, compute_visible(structure, torch.tensor([ids]))[0])
