"""Runs, tiles and masks together give the visible pairs."""

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from faithlens.kernels.tree_attention import Tree, tiles
from faithlens.kernels.tree_attention.tiles import BlockTiles, TileShape, cut_tiles, order_keys
from tests.kernels.test_tree_attention import grow, make_grafted_tree, trees

SHAPE = TileShape(16, 8, 4, 1)


def collect_pairs(blocks: BlockTiles, rows: int, keys: int) -> Tensor:
    """The visible pairs of rows and keys, put together from runs and tiles; a pair that is listed twice counts 2."""
    height, width = SHAPE.queries, SHAPE.keys
    out = torch.zeros(len(blocks.common_run) * height, -(-keys // width) * width, dtype=torch.int)
    for i, (start, stop) in enumerate(blocks.common_run.tolist()):
        out[i * height : (i + 1) * height, start:stop] += 1
        for tile, mask in blocks.tiles[blocks.first[i] : blocks.first[i + 1]].tolist():
            part = out[i * height : (i + 1) * height, tile * width : (tile + 1) * width]
            part += blocks.masks[mask].int()
    assert torch.equal(blocks.seen_keys, blocks.masks.any(1))
    return out[:rows, :keys]


@pytest.mark.parametrize("window", [None, 5, 40])
@given(grown=trees())
@settings(max_examples=40)
def test_every_visible_pair_is_listed_once(window: int | None, grown: tuple[list[int], Tree]) -> None:
    _, tree = grown
    keys = tree.all_rows if (order := order_keys(tree, SHAPE)) is None else order
    for rows in (tree.all_rows, tree.all_rows[1::3]):
        if len(rows):
            blocks = cut_tiles(tree, rows, keys, window, SHAPE)
            assert torch.equal(
                collect_pairs(blocks, len(rows), len(tree)), tree.compute_visible(rows, keys, window).int()
            )


def test_in_pieces_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = make_grafted_tree(200)
    whole = cut_tiles(tree, tree.all_rows, tree.all_rows, None, SHAPE)
    monkeypatch.setattr(tiles, "CHUNK_PAIRS", 16 * 200 * 3)
    pieces = cut_tiles(tree, tree.all_rows, tree.all_rows, None, SHAPE)
    assert all(torch.equal(a, b) for a, b in zip(whole, pieces, strict=True))


def test_most_of_a_chain_with_answers_is_seen_as_a_whole() -> None:
    """Two answer rows after every four rows of the chain: in packed order every tile of keys would have some."""
    parents, chain = [], -1
    for _ in range(40):
        for _ in range(4):
            parents.append(chain)
            chain = len(parents) - 1
        parents += [chain, len(parents)]
    tree = grow(parents, [(0, 0)] * len(parents))
    order = order_keys(tree, SHAPE)
    assert order is not None
    sorted_, packed = (cut_tiles(tree, tree.all_rows, keys, None, SHAPE) for keys in (order, tree.all_rows))
    assert packed.common_run.diff(dim=1).sum() == 0
    assert sorted_.common_run.diff(dim=1).sum() > 0.8 * (
        tree.compute_visible(tree.all_rows, order).sum() / SHAPE.queries
    )


def test_a_single_sequence_stays_in_its_order() -> None:
    assert order_keys(grow([i - 1 for i in range(50)], [(0, 0)] * 50), SHAPE) is None
