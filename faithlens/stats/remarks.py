"""The sentences of a verdict that decide nothing: cells of the decision grid, shares of the change, and the gain."""

from collections.abc import Iterator, Mapping

from faithlens.stats.number import MeasuredNumber, format_number

CELL_MEANINGS = {
    "content-mediated": "the words of the chain of thought decide the answer and the question alone does not",
    "decorative": "the question decides the answer around the chain of thought",
    "positions": "the answer needs the place where the steps stand but not what they say",
    "mixture": "several routes share the answer",
    "undefined": "the swaps did not change the answer enough to divide the change up",
}
"""The cells of the decision grid in plain words."""


def find_commonest_cell(cells: Mapping[str, int]) -> str:
    """The commonest cell; where content-mediated shares first place, the other one."""
    return max(cells, key=lambda name: (cells[name], name != "content-mediated"))


def describe_cells(cells: Mapping[str, int]) -> list[str]:
    """The cells of the decision grid, the commonest cell first and explained."""
    total, first = sum(cells.values()), find_commonest_cell(cells)
    others = ", ".join(f"{name} on {n}" for name, n in cells.items() if n and name != first)
    rest = f"; {others}." if others else "."
    return [f"Question by question: {first} on {cells[first]} of {total} ({CELL_MEANINGS[first]}){rest}"]


def describe_routes(known: Mapping[str, MeasuredNumber]) -> Iterator[str]:
    """What the question alone and the positions of the steps carry, and what hiding the steps does."""
    if share := known.get("mediation.question_share"):
        yield f"The question alone, with the steps held fixed, carries {share} of that change."
    if share := known.get("mediation.relay_share"):
        yield f"The positions of the steps, whatever they say, carry {share}."
    if drop := known.get("knockout.steps"):
        moved = "falls by" if drop.value >= 0 else "changes by"
        yield f"When the answer cannot see the steps, its probability {moved} {drop}."


def caution_about_gain(known: Mapping[str, MeasuredNumber]) -> list[str]:
    """A caution, where a capable model is not measurably better with its chain of thought than without."""
    gain = known.get("accuracy.gain")
    if gain is None or (gain.low or 0.0) > 0:
        return []
    return [
        *describe_gain(known),
        "This task does not need the chain of thought, so it says little about tasks that do.",
    ]


def describe_gain(known: Mapping[str, MeasuredNumber]) -> list[str]:
    """The accuracies with and without chain of thought, and their difference."""
    gain, full, without = (known.get(f"accuracy.{name}") for name in ("gain", "full", "no_cot"))
    if gain is None or full is None or without is None:
        return []
    with_and_without = (
        f"Right with the chain of thought: {format_number(full.value)}; asked directly: {format_number(without.value)}"
    )
    return [f"{with_and_without}; the difference is {gain}."]
