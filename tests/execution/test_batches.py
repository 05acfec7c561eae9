"""Which prompts enter: shortest first, as many as fit in memory, equal lengths where a length changes the scale."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faithlens.execution import batches
from faithlens.execution.batches import FREE_SHARE, JOIN_SHARE, MOST_SEQUENCES, Admission, count_sequence_bytes
from faithlens.model.model import Model
from tests.conftest import tiny

LENGTHS = st.lists(st.integers(1, 60), max_size=150)


def cut_batches(model: Model, lengths: list[int], limit: int, size: int | None = None) -> list[list[int]]:
    """What enters each time that all others have ended."""
    admission, cut = Admission(model, lengths, limit, size), list[list[int]]()
    waiting = admission.sort(range(len(lengths)))
    while waiting:
        cut.append(admission.choose(waiting, []))
        waiting = waiting[len(cut[-1]) :]
    return cut


@given(lengths=LENGTHS)
def test_enough_memory_gives_the_shortest_first_in_full_batches(lengths: list[int]) -> None:
    cut = cut_batches(tiny("llama"), lengths, 20)
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    most = MOST_SEQUENCES["cpu"]
    assert cut == [order[i : i + most] for i in range(0, len(order), most)]


@given(lengths=LENGTHS, size=st.integers(1, 9))
def test_a_given_size_is_kept_whatever_the_memory(lengths: list[int], size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "read_free_bytes", lambda device: 1)
        cut = cut_batches(tiny("llama"), lengths, 20, size)
    assert [i for batch in cut for i in batch] == sorted(range(len(lengths)), key=lambda i: lengths[i])
    assert [len(batch) for batch in cut[:-1]] == [size] * (len(cut) - 1)


@given(lengths=LENGTHS, sequences=st.integers(1, 20))
def test_no_batch_takes_more_than_the_memory_allows(lengths: list[int], sequences: int) -> None:
    model, limit = tiny("llama"), 20
    free = int(sequences * count_sequence_bytes(model, 30, limit) / FREE_SHARE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "read_free_bytes", lambda device: free)
        cut = cut_batches(model, lengths, limit)
    assert sorted(i for batch in cut for i in batch) == list(range(len(lengths)))
    for batch in cut:
        longest = max(lengths[i] for i in batch)
        assert len(batch) == 1 or len(batch) * count_sequence_bytes(model, longest, limit) <= FREE_SHARE * free


def test_the_bytes_of_a_sequence() -> None:
    """Three layers, two key/value heads of width 8, in float32; 48 numbers wide; a vocabulary of 261 tokens."""
    keys_values = 3 * 2 * 2 * 8 * 4
    assert count_sequence_bytes(tiny("llama"), 10, 5) == keys_values * (2 * 10 + 5) + 10 * 4 * 48 * 4 + 4 * 4 * 261


@given(lengths=LENGTHS, ends=st.lists(st.integers(0, 99), max_size=60), sequences=st.integers(1, 20))
def test_while_others_end_no_more_are_live_than_the_memory_allows(
    lengths: list[int], ends: list[int], sequences: int
) -> None:
    model, limit = tiny("llama"), 20
    free = int(sequences * count_sequence_bytes(model, 30, limit) / FREE_SHARE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "read_free_bytes", lambda device: free)
        admission = Admission(model, lengths, limit)
    waiting, live, seen = admission.sort(range(len(lengths))), list[int](), list[int]()
    for end in ends:
        chosen = admission.choose(waiting, live)
        assert chosen == waiting[: len(chosen)]
        waiting, seen = waiting[len(chosen) :], seen + chosen
        if live and chosen:  # not one by one, but for the last
            assert len(chosen) >= min((len(live) + len(chosen)) * JOIN_SHARE, len(chosen) + len(waiting))
        live += chosen
        if live:
            longest = max(lengths[i] for i in live)
            assert len(live) == 1 or len(live) * count_sequence_bytes(model, longest, limit) <= FREE_SHARE * free
            live.pop(end % len(live))
    assert seen == admission.sort(range(len(lengths)))[: len(seen)]


def test_prompts_wait_until_an_eighth_of_the_places_is_free() -> None:
    admission = Admission(tiny("llama"), [5] * 40, 20, 16)
    live = list(range(16))
    assert admission.choose(list(range(16, 40)), live) == []
    assert admission.choose(list(range(16, 40)), live[1:]) == []
    assert admission.choose(list(range(16, 40)), live[2:]) == [16, 17]
    assert admission.choose([39], live[1:]) == [39]  # no other is waiting
    assert Admission(tiny("llama"), [5] * 4, 20, 2).choose([2, 3], [0]) == [2]
