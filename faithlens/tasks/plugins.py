"""Tasks and assays that a user wrote: from the entry points of an installed package, or by ``package.module:Class``."""

from importlib import import_module
from importlib.metadata import EntryPoint

from faithlens.errors import FaithlensError, translate_errors

BROKEN_PACKAGE_FIX = "Reinstall the package, or correct the entry point in its pyproject.toml."


def load_installed(point: EntryPoint, what: str, error: type[FaithlensError]) -> object:
    """The object that an installed package offers; `what` names it in errors, such as "task".

    Raises:
        FaithlensError: it cannot be imported; of class `error`.
    """
    problem = f"the {what} {point.name!r} of an installed package cannot be imported from {point.value}"
    with translate_errors(error, problem, BROKEN_PACKAGE_FIX):
        return point.load()


def import_object(place: str, what: str, error: type[FaithlensError]) -> object:
    """The object at ``package.module:name``; `what` names it in errors, such as "task".

    Raises:
        FaithlensError: it cannot be imported; of class `error`.
    """
    module, _, name = place.partition(":")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as cause:
        fix = "Check the spelling, and that the module can be imported from where you run faithlens."
        raise error(f"the {what} {place!r} cannot be imported: {cause}", fix) from cause
