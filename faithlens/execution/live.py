"""The rows of a pass whose output of the last block is read.

For all other rows the last block ends as soon as their keys and values exist.

For example, a prompt of 3 rows, a step of 4 and a stem of 2, whose last row predicts the answer: without a capture only
row 8 is live. If the logit lens is read at the step, row 6 is live too.
"""

import numpy as np
from jaxtyping import Bool
from numpy import ndarray

from faithlens.execution.matched import MatchedPieces
from faithlens.plan.capture import Capture
from faithlens.plan.condition import is_active
from faithlens.plan.packing import PackedPass
from faithlens.plan.plan import Plan


def find_live_rows(
    plan: Plan, packed: PackedPass, capture: Capture, matched: MatchedPieces | None, n_layers: int
) -> Bool[ndarray, " pos"]:
    """Which rows are live; if gradients are taken, all rows are."""
    last = n_layers - 1
    live = np.full(len(packed), bool(capture.attribution))
    if live.all():
        return live
    live[[row for placed in packed.placements for option in placed.reads for row, _ in option]] = True
    for writing in packed.overwrites:
        if writing.edit.component != "resid_pre" and is_active(writing.edit.layers, last):
            live[writing.targets] = live[writing.sources] = True
    readers = np.zeros(len(packed), bool)
    for placed in packed.placements:
        condition = plan.conditions[placed.index]
        pieces = [condition.locate(site.span) for site in capture.list_sites(condition) if site.layer == last]
        for start, stop in pieces:
            live[placed.path[start:stop]] = True
        for rows in capture.locate_readers(condition, capture.logit_lens).values():
            live[placed.path[rows.start : rows.stop]] = True
        for rows in capture.locate_readers(condition, capture.list_readers()).values():
            readers[placed.path[rows.start : rows.stop]] = True
    if matched is not None:
        live[matched.rows] = live[matched.reference_rows] = True
    # the keys of a reader must be computed before it: a reader below a live row is run with the live rows
    below = np.bincount(packed.places[live], minlength=len(packed) + 1)
    below -= np.bincount(packed.visible_until[live], minlength=len(packed) + 1)
    is_below = (below.cumsum() > 0)[packed.places]
    reads_grafts = np.array([bool(own) for own in packed.grafts])[packed.mark_sets]
    return live | (readers & (is_below | reads_grafts))
