"""Chat templates, written for these tests, with the markers and switches of each family of reasoning models."""

from collections.abc import Sequence
from dataclasses import dataclass

from faithlens.model.model import Model
from faithlens.model.structure import Structure
from tests.conftest import byte_tokenizer, tiny

MODEL = tiny("llama").hf_model
USER = "{% for m in messages %}{{ '<u>' + m.content + '</u>' }}{% endfor %}"


@dataclass(frozen=True)
class Family:
    """A template, the three prompts that it makes of "2?", and the text that closes its thoughts."""

    template: str
    opened: str
    skipped: str
    emptied: str
    close: str = "</think>"
    after: str = "\n\n"


FAMILIES = {
    "Qwen3": Family(
        USER + r"{{ '<a>\n' }}{% if enable_thinking is defined and not enable_thinking %}"
        r"{{ '<think>\n\n</think>\n\n' }}{% endif %}",
        "<u>2?</u><a>\n<think>\n",
        "<u>2?</u><a>\n",
        "<u>2?</u><a>\n<think>\n\n</think>\n\n",
    ),
    "Qwen3.5, off unless asked": Family(
        USER + r"{{ '<a>\n<think>\n' if enable_thinking is true else '<a>\n<think>\n\n</think>\n\n' }}",
        "<u>2?</u><a>\n<think>\n",
        "<u>2?</u><a>\n",
        "<u>2?</u><a>\n<think>\n\n</think>\n\n",
    ),
    "Qwen3-Thinking, QwQ, DeepSeek-R1, MiniMax-M2": Family(
        "{% for m in messages %}{{ '<u>' + m.content.split('</think>')[-1] + '</u>' }}{% endfor %}"
        r"{% if tools %}<response>{% endif %}{{ '<a><think>\n' }}",
        "<u>2?</u><a><think>\n",
        "<u>2?</u><a>",
        "<u>2?</u><a><think>\n</think>\n\n",
    ),
    "DeepSeek-V3.1": Family(
        USER + "<a>{{ '<think>' if thinking else '</think>' }}",
        "<u>2?</u><a><think>",
        "<u>2?</u><a>",
        "<u>2?</u><a></think>",
    ),
    "SmolLM3": Family(
        "{{ '<s>/think</s>' if enable_thinking | default(true) else '<s>/no_think</s>' }}" + USER + r"{{ '<a>\n' }}"
        r"{% if not enable_thinking | default(true) %}{{ '<think>\n\n</think>\n' }}{% endif %}",
        "<s>/think</s><u>2?</u><a>\n<think>\n",
        "<s>/no_think</s><u>2?</u><a>\n",
        "<s>/no_think</s><u>2?</u><a>\n<think>\n\n</think>\n",
    ),
    "gpt-oss": Family(
        "{% for m in messages %}{% if m.thinking %}{{ '<|channel|>analysis<|message|>' + m.thinking + '<|end|>' }}"
        "{% endif %}{{ '<u>' + m.content + '</u>' }}{% endfor %}<|start|>assistant",
        "<u>2?</u><|start|>assistant<|channel|>analysis<|message|>",
        "<u>2?</u><|start|>assistant<|channel|>final<|message|>",
        "<u>2?</u><|start|>assistant<|channel|>analysis<|message|><|end|><|start|>assistant<|channel|>final<|message|>",
        "<|end|>",
        "<|start|>assistant<|channel|>final<|message|>",
    ),
    "Gemma 4": Family(
        "{% if enable_thinking %}<s><|think|></s>{% endif %}"
        + USER
        + r"{{ '<a>\n' }}{% if not enable_thinking %}{{ '<|channel>thought\n<channel|>' }}{% endif %}",
        "<s><|think|></s><u>2?</u><a>\n<|channel>thought\n",
        "<u>2?</u><a>\n",
        "<u>2?</u><a>\n<|channel>thought\n<channel|>",
        "<channel|>",
        "",
    ),
    "Command": Family(
        USER + "<a>{% if not enable_thinking %}<|START_THINKING|><|END_THINKING|>{% endif %}",
        "<u>2?</u><a><|START_THINKING|>",
        "<u>2?</u><a><|START_RESPONSE|>",
        "<u>2?</u><a><|START_THINKING|><|END_THINKING|><|START_RESPONSE|>",
        "<|END_THINKING|>",
        "<|START_RESPONSE|>",
    ),
    "Magistral": Family(
        "<s>[THINK]first[/THINK]then</s>" + USER,
        "<s>[THINK]first[/THINK]then</s><u>2?</u>[THINK]",
        "<s>[THINK]first[/THINK]then</s><u>2?</u>",
        "<s>[THINK]first[/THINK]then</s><u>2?</u>[THINK][/THINK]",
        "[/THINK]",
        "",
    ),
    "Apertus": Family(
        "{% set inner = '<|inner_prefix|>' %}<s>{{ 'on' if enable_thinking else 'off' }}</s>" + USER + "<a>",
        "<s>on</s><u>2?</u><a><|inner_prefix|>",
        "<s>off</s><u>2?</u><a>",
        "<s>on</s><u>2?</u><a><|inner_prefix|><|inner_suffix|>",
        "<|inner_suffix|>",
        "",
    ),
    "Seed-OSS": Family(
        "{% set begin = '<seed:think>' %}" + USER + r"{{ '<a>\n' }}",
        "<u>2?</u><a>\n<seed:think>",
        "<u>2?</u><a>\n",
        "<u>2?</u><a>\n<seed:think></seed:think>\n",
        "</seed:think>",
        "\n",
    ),
    "MiniMax-M3": Family(
        "{% set begin = '<mm:think>' %}" + USER + "<a>",
        "<u>2?</u><a><mm:think>",
        "<u>2?</u><a>",
        "<u>2?</u><a><mm:think></mm:think>",
        "</mm:think>",
        "",
    ),
    "EXAONE Deep": Family(
        USER + r"{{ '<a><thought>\n' }}",
        "<u>2?</u><a><thought>\n",
        "<u>2?</u><a>",
        "<u>2?</u><a><thought>\n</thought>\n\n",
        "</thought>",
    ),
    "Granite 3": Family(
        "{% if thinking %}<s>between <think></think> and between <response></response></s>{% endif %}" + USER + "<a>",
        "<s>between <think></think> and between <response></response></s><u>2?</u><a><think>",
        "<u>2?</u><a>",
        "<s>between <think></think> and between <response></response></s><u>2?</u><a><think></think><response>",
        after="<response>",
    ),
    "Hunyuan": Family(
        "{% for m in messages %}{% if '<answer>' in m.content %}{{ m.content.split('<answer>')[-1] }}{% else %}"
        "{{ '<u>' + m.content + '</u>' }}{% endif %}{% endfor %}<a>"
        r"{% if enable_thinking is defined and not enable_thinking %}{{ '<think>\n\n</think>\n' }}{% endif %}",
        "<u>2?</u><a><think>\n",
        "<u>2?</u><a>",
        "<u>2?</u><a><think>\n\n</think>\n<answer>\n",
        after="\n<answer>\n",
    ),
    "GLM-4.5": Family(
        "[gMASK]{% for m in messages %}{{ '<u>' + m.content }}{% endfor %}"
        r"{{ '/nothink<a>\n<think></think>' if enable_thinking is defined and not enable_thinking else '<a>' }}",
        "[gMASK]<u>2?<a>\n<think>",
        "[gMASK]<u>2?/nothink<a>\n",
        "[gMASK]<u>2?/nothink<a>\n<think></think>",
        after="\n",
    ),
    "Nemotron": Family(
        USER + r"{{ '<a>\n<think>\n' if enable_thinking | default(true) else '<a>\n<think></think>' }}",
        "<u>2?</u><a>\n<think>\n",
        "<u>2?</u><a>\n",
        "<u>2?</u><a>\n<think></think>",
    ),
    "Phi-4-reasoning": Family(
        "<s>as <think> thoughts </think> solution</s>" + USER + "<a>",
        "<s>as <think> thoughts </think> solution</s><u>2?</u><a><think>\n",
        "<s>as <think> thoughts </think> solution</s><u>2?</u><a>",
        "<s>as <think> thoughts </think> solution</s><u>2?</u><a><think>\n</think>\n\n",
    ),
}
SILENT = {
    "plain": USER + "<a>",
    "strips thoughts": "{% for m in messages %}{{ m.content.split('</think>')[-1].split('<think>')[0] }}{% endfor %}",
    "looks for them": "{% for m in messages %}{{ m.content if '<think>' not in m.content }}{% endfor %}",
    "speaks of them": "{# no <think> here #}" + USER,
    "asks for none": "<s>Write no <think> tags.</s>" + USER + "<a>",
    "asks for no reasoning": "{{ '<s>Write no <reasoning> or </reasoning> tags.</s>' }}" + USER + "<a>",
    "shows a thought": "<s>Say 'a <thinking> cap' in words.</s>" + USER + "<a>",
}


def make_model(template: str | None, tokens: Sequence[str] = ()) -> Model:
    """The tiny model with a chat template; `tokens` are single tokens to it, every other character is its bytes."""
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = template
    tokenizer.add_special_tokens({"additional_special_tokens": list(tokens)})
    return Model("tiny", MODEL, tokenizer, Structure())
