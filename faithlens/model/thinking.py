r"""Which markers of thoughts a model has, by its chat template.

The markers come from one table (`faithlens.thoughts`). Which row of the table a model has is read from its chat
template. Templates differ in the rest: some open the block of thoughts themselves, some leave that to the model, and
some write a closed empty block where thoughts are switched off. So each template is rendered with thoughts on and off,
and its output decides.

A template may also only mention a marker of ordinary letters: its system prompt says "Write no <reasoning> tags".
Such a marker counts where it is a token of the tokenizer, where it begins a text or a line that the template writes,
where the prompt ends with it, or where it comes or goes with the switch of thoughts. ``<think>`` and ``<thought>``
count too where the template describes the block with both of its markers.

For example, Qwen3 has the markers ``<think>\n`` and ``</think>``. Its template writes no block where thoughts are on,
so `open_thoughts` adds ``<think>\n``; where thoughts are off the template writes ``<think>\n\n</think>\n\n``, so
`empty_thoughts` keeps this block and `skip_thoughts` removes it.
"""

import re

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from faithlens.model.templates import render_template
from faithlens.thought_markers import FAMILIES, Thinking

# Templates also name markers in comments, and where they remove old thoughts from a conversation. These are no evidence
# that the model writes them.
_ONLY_SOUGHT = re.compile(r"""\{#.*?#\}|\.\w+\([^)]*\)|(['"])[^'"]*\1\s+(?:not\s+)?in\b""", re.DOTALL)


# The variables with which chat templates switch thoughts on and off.
THINKING_SWITCHES = ("enable_thinking", "thinking")
_LETTERS_ONLY = re.compile(r"<[a-z]+>")
_DESCRIBED = ("<think>", "<thought>")


def find_thinking(tokenizer: PreTrainedTokenizerBase) -> Thinking | None:
    """The markers of a model's thoughts; None where the tokenizer has no chat template or one without thoughts."""
    if tokenizer.chat_template is None:
        return None
    template = tokenizer.get_chat_template()
    written = _ONLY_SOUGHT.sub("", template)
    for also, family in FAMILIES:
        if family.open.strip() in written and also in template and _is_used(tokenizer, written, family):
            return family
    return None


def _is_used(tokenizer: PreTrainedTokenizerBase, written: str, family: Thinking) -> bool:
    """Whether the template writes the opening marker for the model, and does not only mention it."""
    opening = family.open.strip()
    if not _LETTERS_ONLY.fullmatch(opening) or opening in map(str, tokenizer.added_tokens_decoder.values()):
        return True
    if opening in _DESCRIBED and family.close in written:
        return True
    if re.search(rf"(?:['\"}}\n]|\\n){re.escape(opening)}", written):
        return True
    turn, counts = [{"role": "user", "content": "?"}], []
    for is_on in (True, False):
        switches = dict.fromkeys(THINKING_SWITCHES, is_on)
        try:
            prompt = render_template(tokenizer, turn, add_generation_prompt=True, **switches)
        except TemplateError:  # the check of the template says what is wrong with it
            return True
        if prompt.rstrip().endswith(opening):
            return True
        counts.append(prompt.count(opening))
    return counts[0] != counts[1]
