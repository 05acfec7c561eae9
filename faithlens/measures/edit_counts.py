"""How many steps of a chain are edited, and how many new ends are written, unless a user says otherwise."""

DEFAULT_POINTS = 32
"""Steps that are edited in a chain of more than twice as many."""
DEFAULT_REGENERATIONS = 3
"""Steps after which the rest of a chain is regenerated."""
DEFAULT_ENDS = 8
"""New ends of a chain that resampling writes before a step, and as many after it."""
