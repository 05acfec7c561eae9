r"""Which markers of thoughts a model has, by its chat template.

The markers come from one table (`faithlens.thoughts`). Which row of the table a model has is read from its chat
template. Templates differ in the rest: some open the block of thoughts themselves, some leave that to the model, and
some write a closed empty block where thoughts are switched off. So each template is rendered with thoughts on and off,
and its output decides.

For example, Qwen3 has the markers ``<think>\n`` and ``</think>``. Its template writes no block where thoughts are on,
so `open_thoughts` adds ``<think>\n``; where thoughts are off the template writes ``<think>\n\n</think>\n\n``, so
`empty_thoughts` keeps this block and `skip_thoughts` removes it.
"""

import re

from transformers import PreTrainedTokenizerBase

from faithlens.thoughts import FAMILIES, Thinking

# Templates also name markers in comments, and where they remove old thoughts from a conversation. These are no evidence
# that the model writes them.
_ONLY_SOUGHT = re.compile(r"""\{#.*?#\}|\.\w+\([^)]*\)|(['"])[^'"]*\1\s+(?:not\s+)?in\b""", re.DOTALL)


def find_thinking(tokenizer: PreTrainedTokenizerBase) -> Thinking | None:
    """The markers of a model's thoughts; None where the tokenizer has no chat template or one without thoughts."""
    if tokenizer.chat_template is None:
        return None
    template = tokenizer.get_chat_template()
    written = _ONLY_SOUGHT.sub("", template)
    fits = (family for also, family in FAMILIES if family.open.strip() in written and also in template)
    return next(fits, None)
