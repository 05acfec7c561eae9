"""The state of a model after some tokens: keys and values, and the states of convolutions and recurrences.

transformers keeps all of them in one cache. A forward reads it, and leaves in its place the state after its own tokens.
"""

from inspect import signature

from transformers import PreTrainedModel

from faithlens.errors import ModelError

ATTENTION, RECURRENCES = "past_key_values", "cache_params"  # the second of models without attention, such as Mamba


def name_state(hf_model: PreTrainedModel) -> str:
    """The argument of the model's forward that takes a state.

    Raises:
        ModelError: it takes none, so that it would begin anew without an error.
    """
    parameters = signature(hf_model.forward).parameters
    for name in (ATTENTION, RECURRENCES):
        if name in parameters:
            return name
    raise ModelError(
        f"{type(hf_model).__name__} cannot go on from a state: its forward takes neither of {ATTENTION} and"
        f" {RECURRENCES}",
        "Use another model, or give chains that were written elsewhere (--traces).",
    )
