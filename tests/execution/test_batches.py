"""Batches of prompts: shortest first, as many as fit in memory, equal lengths where a length changes the scale."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faithlens.execution import batches
from faithlens.execution.batches import FREE_SHARE, MOST_SEQUENCES, count_sequence_bytes, cut_batches
from tests.conftest import tiny

LENGTHS = st.lists(st.integers(1, 60), max_size=150)


@given(lengths=LENGTHS)
def test_enough_memory_gives_the_shortest_first_in_full_batches(lengths: list[int]) -> None:
    cut = list(cut_batches(tiny("llama"), lengths, 20))
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    most = MOST_SEQUENCES["cpu"]
    assert cut == [order[i : i + most] for i in range(0, len(order), most)]


@given(lengths=LENGTHS, size=st.integers(1, 9))
def test_a_given_size_is_kept_whatever_the_memory(lengths: list[int], size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "read_free_bytes", lambda device: 1)
        cut = list(cut_batches(tiny("llama"), lengths, 20, size))
    assert [i for batch in cut for i in batch] == sorted(range(len(lengths)), key=lambda i: lengths[i])
    assert [len(batch) for batch in cut[:-1]] == [size] * (len(cut) - 1)


@given(lengths=LENGTHS, sequences=st.integers(1, 20))
def test_no_batch_takes_more_than_the_memory_allows(lengths: list[int], sequences: int) -> None:
    model, limit = tiny("llama"), 20
    free = int(sequences * count_sequence_bytes(model, 30, limit) / FREE_SHARE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "read_free_bytes", lambda device: free)
        cut = list(cut_batches(model, lengths, limit))
    assert sorted(i for batch in cut for i in batch) == list(range(len(lengths)))
    for batch in cut:
        longest = max(lengths[i] for i in batch)
        assert len(batch) == 1 or len(batch) * count_sequence_bytes(model, longest, limit) <= FREE_SHARE * free


def test_the_bytes_of_a_sequence() -> None:
    """Three layers, two key/value heads of width 8, in float32; 48 numbers wide; a vocabulary of 261 tokens."""
    keys_values = 3 * 2 * 2 * 8 * 4
    assert count_sequence_bytes(tiny("llama"), 10, 5) == keys_values * (2 * 10 + 5) + 10 * 4 * 48 * 4 + 4 * 4 * 261
