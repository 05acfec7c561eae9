"""Blocks of queries, against ancestors that are found by walking from parent to parent."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from faithlens.kernels.tree_attention import Tree
from faithlens.kernels.tree_attention.blocks import count_new_keys, split_queries
from tests.kernels.test_tree_attention import grow, trees


def list_path(parents: list[int], row: int) -> set[int]:
    """A row and its ancestors, by walking from parent to parent."""
    path = set[int]()
    while row >= 0:
        path.add(row)
        row = parents[row]
    return path


@given(grown=trees(), data=st.data())
def test_keys_that_the_query_before_does_not_see(grown: tuple[list[int], Tree], data: st.DataObject) -> None:
    parents, tree = grown
    chosen = sorted(data.draw(st.sets(st.integers(0, len(parents) - 1), min_size=1)))
    paths = [list_path(parents, row) for row in chosen]
    expected = [len(own - before) for before, own in zip([set(), *paths], paths, strict=False)]
    new = count_new_keys(tree, torch.tensor(chosen))
    assert new.tolist() == expected
    assert new.sum() == len(set.union(*paths))  # so a block of rows in this order sees as many keys


def test_rows_that_go_back_in_the_walk_share_nothing_that_is_known() -> None:
    tree = grow([-1, 0, 1], [(0, 0)] * 3)
    assert count_new_keys(tree, torch.tensor([2, 1])).tolist() == [3, 2]


def test_short_branches_share_a_block_where_their_ancestors_are_the_same() -> None:
    """Each branch is 2 rows: below one trunk of 300 rows, or below two trunks of 300 rows of their own."""
    one = [*range(-1, 299), 299, 300, 299, 302]
    two = [*range(-1, 301), -1, *range(302, 603)]
    none = [(0, 0)] * len(two)
    assert split_queries(grow(one, none[: len(one)]), torch.arange(300, 304)) == [(0, 4, 304)]
    branches = torch.tensor([300, 301, 602, 603])
    # together 4 queries meet 604 keys: 2,416 pairs; apart, 2 * 2 * 302 = 1,208 pairs and the cost of a call, 2,048
    assert split_queries(grow(two, none), branches) == [(0, 4, 604)]
    branches = torch.tensor([*range(280, 302), *range(582, 604)])
    # 44 * 604 = 26,576 pairs, against 2 * 22 * 302 + 2,048 = 15,336
    assert split_queries(grow(two, none), branches) == [(0, 22, 302), (22, 44, 302)]
