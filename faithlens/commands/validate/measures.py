"""The measures that `validate` ranks, and whether a higher value should mean that the chain's words matter more."""

from faithlens.measures.catalogue import MEASURES

MEASURE_SIGNS: dict[str, int] = {
    name: each.direction for name, each in MEASURES.items() if "question" in each.validated
}
"""Measures of questions: 1 where a higher value means that the words decide the answer more, -1 where less."""

STEP_MEASURE_SIGNS: dict[str, int] = {
    name: each.direction for name, each in MEASURES.items() if "step" in each.validated
}
"""Measures of single steps: 1 where a higher value means that the answer depends more on the step, -1 where less."""
