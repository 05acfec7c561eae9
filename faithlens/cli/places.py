"""How a command reads the name of a run: a folder, or an address of an object store."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faithlens.store.places import Place
else:
    Place = object  # importing the store takes half a second, and --help need not wait for it


def parse_place(name: str) -> Place:
    """The place that a word of the command line names. Raises RunError as `find_place`."""
    from faithlens.store import find_place

    return find_place(name)


def check_run(place: Place) -> None:
    """Refuse a folder without a run, before torch is imported. Raises RunError."""
    from faithlens.store import Run  # imports pandas, which --help need not wait for

    _ = Run(place).manifest
