"""Runs and tiles hold every visible pair, runs no other, and few tiles are listed without need."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from faithlens.kernels.integers import copy_integers
from faithlens.kernels.tree_attention import Tree
from faithlens.kernels.tree_attention.tiles import BlockTiles, list_tiles
from tests.kernels.test_tree_attention import grow, make_grafted_tree, store, trees

QUERIES, KEYS = 16, 8


def list_all(tree: Tree, rows: Tensor, window: int | None = None) -> BlockTiles:
    starts = torch.arange(0, len(rows), QUERIES).numpy()
    return list_tiles(tree, rows.numpy(), starts, window, KEYS)


def count_listed(blocks: BlockTiles, n_keys: int) -> tuple[Tensor, Tensor]:
    """For each block and tile: whether it lies in the run, and how often it is listed by itself."""
    in_run, listed = (torch.zeros(len(blocks.common_run), -(-n_keys // KEYS), dtype=torch.int) for _ in "ab")
    for i, (start, stop) in enumerate(blocks.common_run.tolist()):
        in_run[i, start // KEYS : stop // KEYS] = 1
        for tile in blocks.tiles[blocks.first[i] : blocks.first[i + 1]].tolist():
            listed[i, tile] += 1
    return in_run, listed


@pytest.mark.parametrize("window", [None, 5, 40])
@given(grown=trees(), short=st.sampled_from([0, 3, 8]))
@settings(max_examples=40)
def test_every_visible_pair_is_listed_once(window: int | None, grown: tuple[list[int], Tree], short: int) -> None:
    _, tree = grown
    tree = store(tree, (tree.visible_until - tree.places <= short).int().argsort(stable=True))
    every = torch.arange(len(tree))
    for rows in (every, every[1::3]):
        if len(rows):
            in_run, listed = count_listed(list_all(tree, rows, window), len(tree))
            assert (in_run + listed).max() <= 1
            seen = tree.compute_visible(rows, every, window)
            for block, own in enumerate(seen.split(QUERIES)):
                for tile, part in enumerate(own.split(KEYS, 1)):
                    assert not in_run[block, tile] or part.all()
                    assert in_run[block, tile] or listed[block, tile] or not part.any()


def test_grafts_are_listed() -> None:
    tree = make_grafted_tree(200)
    rows = torch.arange(200)
    in_run, listed = count_listed(list_all(tree, rows), 200)
    for block, own in enumerate(tree.compute_visible(rows, rows).split(QUERIES)):
        needed = torch.stack([part.any() for part in own.split(KEYS, 1)])
        assert (in_run[block] + listed[block] == 1)[needed].all()


def test_most_of_a_chain_with_answers_is_seen_as_a_whole() -> None:
    """Two answer rows after every four rows of the chain: they are stored last, so that tiles hold the chain alone."""
    parents, chain = [], -1
    for _ in range(120):
        for _ in range(4):
            parents.append(chain)
            chain = len(parents) - 1
        parents += [chain, len(parents)]
    packed = grow(parents, [(0, 0)] * len(parents))
    stored = store(packed, (packed.visible_until - packed.places < KEYS).int().argsort(stable=True))
    rows = torch.arange(len(parents))
    runs, others = (list_all(tree, rows).common_run for tree in (stored, packed))
    assert (others[:, 1] - others[:, 0]).sum() == 0
    assert (runs[:, 1] - runs[:, 0]).sum() > 0.8 * stored.compute_visible(rows, rows).sum() / QUERIES


def test_integers_are_views_of_one_buffer() -> None:
    arrays = {
        "a": torch.arange(5).int().numpy(),
        "b": torch.arange(6).view(2, 3).numpy(),
        "c": torch.zeros(0).int().numpy(),
    }
    views = copy_integers(arrays, torch.device("cpu"))
    assert {name: (view.tolist(), view.dtype) for name, view in views.items()} == {
        "a": ([0, 1, 2, 3, 4], torch.int32),
        "b": ([[0, 1, 2], [3, 4, 5]], torch.int64),
        "c": ([], torch.int32),
    }
    assert len({view.untyped_storage().data_ptr() for view in views.values()}) == 1
    assert all(view.data_ptr() % 16 == views["a"].data_ptr() % 16 for view in views.values())
