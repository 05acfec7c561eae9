"""Assays that ask nothing of a model with a recurrent state, because they edit or read attention only.

What a token reads of earlier ones comes to it by attention, and in such a model by the state as well. Without a step's
keys and values the answer still has what the state carries of the step, so a knockout, or an exchange of keys and
values, does not show what the step does. Such an assay runs no edited version, and its scores say why they have no
value.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from faithlens.assays.assay import Assay, Records, Setting
from faithlens.interventions.case import Case
from faithlens.measures.catalogue import list_measures
from faithlens.measures.score import Score
from faithlens.model.attention_choice import has_recurrent_state
from faithlens.model.model import Model
from faithlens.plan.condition import Condition

RECURRENT = "the model has a recurrent state, which carries what an edit of its attention would hide"


@dataclass(frozen=True)
class LeftOutAssay:
    """An assay without conditions, whose measures have no value.

    Attributes:
        name: the name of the assay in whose place it stands.
        reason: why there is no value.
    """

    name: str
    reason: str

    def conditions(self, setting: Setting, case: Case) -> list[Condition]:
        """None."""
        return []

    def score(self, setting: Setting, case: Case, records: Records) -> list[Score]:
        """No value for any measure of the assay, and why."""
        return [Score(one.name, None, reason=self.reason) for one in list_measures() if one.assay == self.name]


def leave_out(assays: Mapping[str, Assay], model: Model) -> dict[str, Assay]:
    """`assays`, with a `LeftOutAssay` in place of those that need attention alone, if `model` has a recurrent state."""
    if not has_recurrent_state(model.hf_model):
        return dict(assays)
    return {
        name: LeftOutAssay(name, RECURRENT) if _needs_attention_alone(assay) else assay
        for name, assay in assays.items()
    }


def _needs_attention_alone(assay: Assay) -> bool:
    return bool(getattr(assay, "NEEDS_ATTENTION_ALONE", False) or getattr(assay, "READERS", ()))
