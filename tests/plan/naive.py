"""The packed row token by token, in the plainest way: what plans are compared with in tests.

It shares only conditions and their edits with `faithlens.plan`: a trie of single symbols, marks of single rows, levels
and waves row by row.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from faithlens.model.structure import Structure
from faithlens.plan.condition import Ablation, Condition, KeyValuePatch, Knockout, Patch

Mark = tuple[
    Any, ...
]  # ("cut", layers, start, stop), ("graft", layers, start, stop, donor), ("write", edit, offset), ...


@dataclass(eq=False)
class Node:
    """One row: a token after its parent, with its marks."""

    token: int
    marks: tuple[Mark, ...]
    parent: "Node | None"
    depth: int
    children: dict[Mark, "Node"] = field(default_factory=dict)
    first_layer: int = 0
    original: "Node | None" = None
    row: int = -1
    until: int = 0
    wave: int = 0
    heights: dict[tuple[str, int | None], int] | None = None


@dataclass
class NaivePass:
    """One packed row, as lists with an entry for each row; `writes` are (level, edit, targets, offsets, sources)."""

    ids: list[int]
    depth: list[int]
    places: list[int]
    visible_until: list[int]
    cuts: list[list[tuple]]
    grafts: list[list[tuple]]
    first_layers: list[int]
    originals: list[int]
    scales: list[int]
    paths: list[list[list[int]]]
    writes: list[tuple]


class NaivePacking:
    """Inserts conditions one token after the other."""

    def __init__(self, structure: Structure, scaling_lengths: Sequence[int]) -> None:
        self.structure, self.scaling_lengths = structure, scaling_lengths
        self.root = Node(-1, (), None, -1)
        self.paths: dict[Condition, list[list[Node]]] = {}

    def mark_rows(self, condition: Condition, tail: tuple[int, ...], is_edited: bool) -> list[list[Mark]]:
        ids = condition.ids + tail
        marks: list[list[Mark]] = [[("cut", None, *cut) for cut in cuts] for cuts in self.structure.list_hidden(ids)]
        scale = sum(len(ids) > limit for limit in self.scaling_lengths)
        for edit in condition.edits if is_edited else ():
            if isinstance(edit, Knockout | KeyValuePatch):
                start, stop = condition.locate_reader(edit.reader, len(ids))
                if isinstance(edit, Knockout):
                    new: list[Mark] = [("cut", edit.layers, *condition.locate(name)) for name in edit.read]
                else:
                    new = [("graft", edit.layers, *condition.locate(edit.read), edit.donor)]
                for i in range(start, stop):
                    marks[i] += new
            else:
                start, stop = condition.locate(edit.span)
                for i in range(start, stop):
                    marks[i].append(("write", condition.complete(edit), i - start))
        if scale:
            marks[0].append(("scale", scale))
        return marks

    def insert(self, tokens: Sequence[int], marks: Sequence[Sequence[Mark]]) -> list[Node]:
        node, path = self.root, []
        for token, own in zip(tokens, marks, strict=True):
            symbol = (token, tuple(own))
            if symbol not in node.children:
                node.children[symbol] = Node(token, tuple(own), node, node.depth + 1)
            node = node.children[symbol]
            path.append(node)
        return path

    def add(self, condition: Condition) -> None:
        if condition in self.paths:
            return
        for donor in condition.donors:
            self.add(donor)
        paths: dict[tuple[int, ...], list[Node]] = {}
        for tail in (sequence[:-1] for sequence in condition.sequences):
            if tail in paths:
                continue
            tokens = condition.ids + tail
            marks, clean = (self.mark_rows(condition, tail, is_edited) for is_edited in (True, False))
            path = paths[tail] = self.insert(tokens, marks)
            first, layers = None, []
            for own, plain in zip(marks, clean, strict=True):
                edits = own[len([m for m in plain if m[0] == "cut"]) : len(own) - sum(m[0] == "scale" for m in own)]
                new = [min(le) if (le := m[1].layers if m[0] == "write" else m[1]) else 0 for m in edits]
                first = min(new + ([] if first is None else [first]), default=None)
                layers.append(first)
            stop = max((i + 1 for i, layer in enumerate(layers) if layer), default=0)
            for node, original, layer in zip(path, self.insert(tokens[:stop], clean[:stop]), layers, strict=False):
                if layer:
                    node.first_layer, node.original = layer, original
        self.paths[condition] = [paths[sequence[:-1]] for sequence in condition.sequences]


def pack_naively(
    conditions: Sequence[Condition],
    structure: Structure = Structure(),
    scaling_lengths: tuple[int, ...] = (),
    few_below: int = 64,
) -> NaivePass:
    """All conditions in one packed row; rows with fewer than `few_below` rows in their subtree are stored late."""
    packing = NaivePacking(structure, scaling_lengths)
    for condition in conditions:
        packing.add(condition)
    nodes: list[Node] = []

    def visit(node: Node) -> None:
        node.row = len(nodes)
        nodes.append(node)
        for child in node.children.values():
            visit(child)
        node.until = len(nodes)

    for child in packing.root.children.values():
        visit(child)
    grafts = [
        [
            (mark[1], [other.row for other in packing.paths[mark[4]][0][mark[2] : mark[3]]])
            for mark in node.marks
            if mark[0] == "graft" and mark[2] < mark[3]
        ]
        for node in nodes
    ]
    writes, needs = collect_writes(nodes, packing.paths)
    for node, own in zip(nodes, grafts, strict=True):
        needs.setdefault(node.row, []).extend(row for _, rows in own for row in rows)
    changed = True
    while changed:
        changed = False
        for node in nodes:
            earlier = [nodes[row] for row in needs.get(node.row, ())] + [node.parent] * (
                node.parent is not packing.root
            )
            for other in earlier:  # what is needed joins no later than what needs it
                changed = changed or other.first_layer > node.first_layer
                other.first_layer = min(other.first_layer, node.first_layer)
            wave = max([0 if node.parent is packing.root else node.parent.wave])
            wave = max([wave, *(nodes[row].wave + 1 for row in needs.get(node.row, ()))])
            changed, node.wave = changed or wave != node.wave, wave
    storage = sorted(nodes, key=lambda n: (n.first_layer, n.wave, n.until - n.row < few_below, n.row))
    return store(nodes, storage, packing, conditions, grafts, writes)


def store(
    nodes: Sequence[Node],
    storage: Sequence[Node],
    packing: NaivePacking,
    conditions: Sequence[Condition],
    grafts: Sequence[Sequence[tuple]],
    writes: Sequence[tuple],
) -> NaivePass:
    """The pass with its rows in the order of `storage`; `grafts` and `writes` have rows in the order of `nodes`."""
    places, rows = [node.row for node in storage], {node.row: i for i, node in enumerate(storage)}
    grafts = [[(layers, [rows[r] for r in own]) for layers, own in grafts[place]] for place in places]
    moved = []
    for level, edit, targets, offsets, sources in writes:
        order = sorted(range(len(targets)), key=lambda i: rows[targets[i]])
        by_row = isinstance(edit, Patch)
        own = [rows[sources[i]] for i in order] if by_row else sorted(rows[r] for r in sources)
        moved.append((level, edit, [rows[targets[i]] for i in order], [offsets[i] for i in order], own))
    scales: dict[Node, int] = {packing.root: 0}
    for node in nodes:
        scales[node] = scales[node.parent] + sum(mark[1] for mark in node.marks if mark[0] == "scale")
    return NaivePass(
        [node.token for node in storage],
        [node.depth for node in storage],
        places,
        [node.until for node in storage],
        [[(m[1], (m[2], m[3])) for m in node.marks if m[0] == "cut"] for node in storage],
        grafts,
        [node.first_layer for node in storage],
        [rows[node.row if node.original is None else node.original.row] for node in storage],
        [scales[node] for node in storage],
        [[[rows[node.row] for node in path] for path in packing.paths[condition]] for condition in conditions],
        moved,
    )


def collect_writes(
    nodes: Sequence[Node], paths: dict[Condition, list[list[Node]]]
) -> tuple[list[tuple], dict[int, list[int]]]:
    """All writes with their levels, and the rows that each row needs."""
    rows: dict[tuple, list[tuple[int, int]]] = {}
    needs: dict[int, list[int]] = {}

    def find_sources(edit: Any) -> list[Node]:
        if isinstance(edit, Patch):
            return paths[edit.donor][0][slice(*edit.locate_source())]
        over = edit.over if isinstance(edit, Ablation) and edit.how != "zero" else ()
        return sorted({n for c in over for n in paths[c][0][: len(c.ids)]}, key=lambda node: node.row)

    def measure(heights: dict, edit: Any) -> int:
        own = [
            height
            for (component, layer), height in heights.items()
            if component == edit.component and (layer is None or edit.layers is None or layer in edit.layers)
        ]
        return max(own, default=0)

    def climb(node: Node) -> dict:
        if node.heights is None:
            node.heights = {}
            for _, edit, offset in (mark for mark in node.marks if mark[0] == "write"):
                sources = find_sources(edit)
                sources = [sources[offset]] if isinstance(edit, Patch) else sources
                level = max([measure(node.heights, edit), *(measure(climb(source), edit) for source in sources)])
                for layer in edit.layers or (None,):
                    node.heights[edit.component, layer] = level + 1
                rows.setdefault((level, edit), []).append((node.row, offset))
                needs.setdefault(node.row, []).extend(source.row for source in sources)
        return node.heights

    for node in nodes:
        climb(node)
    out = []
    for (level, edit), pairs in rows.items():
        targets, offsets = map(list, zip(*sorted(pairs), strict=True))
        sources = [source.row for source in find_sources(edit)]
        out.append(
            (level, edit, targets, offsets, [sources[i] for i in offsets] if isinstance(edit, Patch) else sources)
        )
    return out, needs
