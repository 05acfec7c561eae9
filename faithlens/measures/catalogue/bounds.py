"""What the accuracies before and after an edit allow of the rate of changed answers: bounds, as measures."""

from collections.abc import Iterator

from faithlens.measures.catalogue.measure import Measure, share

# One call states one measure, its text below its name.
# fmt: off


def list_bounds(change: Measure) -> Iterator[Measure]:
    """The bounds that the accuracies before and after an edit set on a rate of changed answers; derived."""
    pair, label = f"the full chain of thought and the edited chains of {change.name}", f"{change.label}: "
    yield from state_bounds(f"bound.{change.bound}.", "", pair, label, direction=change.direction, is_detail=True)


def state_bounds(prefix: str, suffix: str, pair: str, label: str, **of_share: object) -> Iterator[Measure]:
    """What two accuracies allow: at least, at most, by chance, and how much of the most was reached."""
    names = ("low", "high", "independent", "share") if prefix != "bound." else (
        "change_low", "change_high", "independent", "change_share")
    low, high, independent, used = (f"{prefix}{name}{suffix}" for name in names)
    common = {**of_share, "level": "task", "direction": 0}
    yield share(low, f"{label}least possible change",
        f"Absolute difference of the accuracies with {pair}; at least this share of answers must change.", **common)
    yield share(high, f"{label}most possible change",
        f"Share of answers that can change at most between {pair}, given both accuracies; low means that the answers "
        "cannot show a dependence on the chain.", **common)
    yield share(independent, f"{label}change if independent",
        f"Share of answers that would change between {pair} if the two answers were independent given both "
        "accuracies; a change near this value says as much about accuracy as about the chain.", **common)
    yield share(used, f"{label}share of the possible change",
        f"Share of answers that change between {pair}, divided by the most that the accuracies allow; high means that "
        "nearly every answer that could change did.", **{**of_share, "level": "task"})
