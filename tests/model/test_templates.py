"""Chat templates are rendered as transformers does, within limits, and only where they ask what the user asks."""

import time
from datetime import datetime
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import TemplateError
from transformers.utils import chat_template_utils

from faithlens.errors import ModelError
from faithlens.model.model import Model
from faithlens.model.templates import TEMPLATE_DAY, render_template
from tests.conftest import byte_tokenizer, tiny
from tests.model.thinkers import FAMILIES

HEAD = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
TAIL = "<|im_end|>\n{% endfor %}"
OPEN = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
CHATML = HEAD + "{{ m['content'] }}" + TAIL + OPEN
QUESTION = 'If x < 4 & y > "2", what is 3 + 4?\n(A) 5\n(B) 7\n\nThink step by step, then choose the correct option.'

GOOD = {
    "chatml": CHATML,
    "trimmed ends": HEAD + "{{ m['content'] | trim }}" + TAIL + OPEN,
    "Falcon's, without blank lines": HEAD + "{{ m['content'] | replace('\n\n', '\n') }}" + TAIL + OPEN,
    "always open": "{% for m in messages %}{{ '[INST] ' + m.content + ' [/INST]' if m.role == 'user' else m.content }}"
    "{% endfor %}",
    "roles alike": "{% for m in messages %}<s>{{ m.content }}</s>{% endfor %}",
    "content alone": "{% for m in messages %}{{ m.content }}{% endfor %}",
    "no replies": "{% for m in messages %}{% if m.role != 'user' %}{{ raise_exception('only questions') }}{% endif %}"
    "<u>{{ m.content }}</u><a>{% endfor %}",
    "a date": "Today is {{ strftime_now('%d %B %Y') }}, {{ date_string }}.\n" + CHATML,
    "loop controls": "{% for i in range(9) %}{% if i > 2 %}{% break %}{% endif %}{{ i }}{% endfor %}" + CHATML,
    "generation": HEAD + "{% generation %}{{ m['content'] }}{% endgeneration %}" + TAIL + OPEN,
    "json": "{{ {'b': '<é>', 'a': [1, none]} | tojson(indent=1) }}" + CHATML,
    "namespace": "{% set n = namespace(k=0) %}{% for i in [1, 2] %}{% set n.k = n.k + i %}{% endfor %}{{ n.k }}"
    + CHATML,
    "special tokens": "{{ bos_token }}{{ eos_token }}{{ pad_token }}" + CHATML,
    "an empty block of thoughts before a reply": "{% for m in messages %}{% if m.role == 'user' %}<u>{{ m.content }}<a>"
    "{% else %}<think>\n\n</think>{{ m.content }}{% endif %}{% endfor %}",
}

BAD = {
    "parts": (HEAD + "{% for p in m['content'] %}{{ p['text'] }}{% endfor %}" + TAIL + OPEN, "does not hold"),
    "no content": (HEAD + TAIL + OPEN, "does not hold"),
    "system only": ("{% if messages[0].role == 'system' %}{{ messages[0].content }}{% endif %}" + OPEN, "not hold"),
    "cut": (HEAD + "{{ m['content'][:60] }}" + TAIL + OPEN, "does not hold"),
    "long ones cut": (HEAD + "{{ m['content'] | truncate(400) }}" + TAIL + OPEN, "does not hold"),
    "upper case": (HEAD + "{{ m['content'] | upper }}" + TAIL + OPEN, "does not hold"),
    "html": (HEAD + "{{ m['content'] | e }}" + TAIL + OPEN, "does not hold"),
    "first line": (HEAD + "{{ m['content'].split('\n')[0] }}" + TAIL + OPEN, "does not hold"),
    "json string": (HEAD + "{{ m['content'] | tojson }}" + TAIL + OPEN, "does not hold"),
    "twice": (HEAD + "{{ m['content'] }}{{ m['content'] }}" + TAIL + OPEN, "more than once"),
    "again in capitals": (HEAD + "{{ m['content'] | upper }}\n{{ m['content'] }}" + TAIL + OPEN, "more than once"),
    "again in part": (HEAD + "{{ m['content'][:80] }}...\n{{ m['content'] }}" + TAIL + OPEN, "more than once"),
    "never open": (HEAD + "{{ m['content'] }}" + TAIL, "does not open the assistant's turn"),
    "opens the user's": (CHATML.replace("assistant\n", "user\n"), "does not open the assistant's turn"),
    "raises": (r"{{ raise_exception('no \x1b[31mred') }}", r"cannot be rendered: TemplateError: .*no \\x1b\[31mred"),
    "unknown name": ("{{ nothing.at.all }}", "cannot be rendered: .*UndefinedError"),
    "syntax": ("{% for %}", "cannot be rendered: .*TemplateSyntaxError"),
    "out of the sandbox": ("{{ messages.__class__.__mro__ }}", "cannot be rendered: .*SecurityError"),
    "recursion": ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "cannot be rendered: .*RecursionError"),
    "a gigabyte": ("{{ 'a' * 10 ** 9 }}", "cannot be rendered"),
    "a terabyte": ("{{ 'a' * 10 ** 12 }}", "cannot be rendered: .*MemoryError"),
    "many characters": ("{% for i in range(90000) %}{{ 'a' * 90000 }}{% endfor %}", "more than 1,0[0-9,]* characters"),
}  # fmt: skip


def make_model(template: str) -> Model:
    base = tiny("llama")
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = template
    return Model("made", base.hf_model, tokenizer, base.structure)


@pytest.mark.parametrize("name", GOOD)
def test_a_prompt_is_what_transformers_renders_on_that_day(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_template_utils, "datetime", SimpleNamespace(now=lambda: datetime(*TEMPLATE_DAY)))
    model = make_model(GOOD[name])
    turn = [{"role": "user", "content": QUESTION}]
    rendered = model.tokenizer.apply_chat_template(
        turn, tokenize=False, add_generation_prompt=True, date_string="26 Jul 2024"
    )
    assert model.render(QUESTION) == rendered
    assert model.render(QUESTION, "So") == f"{rendered}So"


def test_dates_are_fixed() -> None:
    assert make_model(GOOD["a date"]).render("2?").startswith("Today is 26 July 2024, 26 Jul 2024.\n")


@pytest.mark.parametrize("name", BAD)
def test_a_prompt_that_does_not_ask_is_refused_with_its_text(name: str) -> None:
    template, fault = BAD[name]
    with pytest.raises(ModelError, match=f"(?s){fault}") as caught:
        make_model(template).render(QUESTION)
    assert "cannot be rendered" in str(caught.value) or "It is:\n" in caught.value.problem
    assert "\x1b" not in str(caught.value)
    assert isinstance(caught.value.__cause__, TemplateError) == ("cannot be rendered" in str(caught.value))


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        (HEAD + "{{ m.content if m.content | length < 20000 else m.content[:20000] }}" + TAIL + OPEN, "not hold"),
        (HEAD + "{{ m.content }}{% if 'zebra' in m.content %}{{ m.content }}{% endif %}" + TAIL + OPEN, "2 times"),
        (HEAD + "{{ m['content'] | replace('zebra', 'horse') }}" + TAIL + OPEN, "not hold"),
        (CHATML.replace("if add_generation_prompt", "if add_generation_prompt and 'zebra' not in messages[0].content"),
         "ends otherwise"),
        (HEAD + "{{ m['content'].split('</think>')[-1] }}" + TAIL + OPEN, "not hold"),
    ],
)  # fmt: skip
def test_every_question_is_checked(template: str, fault: str) -> None:
    """The template is right for the first question and wrong for the second."""
    model = make_model(template)
    assert QUESTION in model.render(QUESTION)
    long = "A zebra? </think> " + "word " * 5000 + "\nWhich?"
    with pytest.raises(ModelError, match=fault):
        model.render(long)
    assert QUESTION in model.render(QUESTION)


@pytest.mark.parametrize("family", FAMILIES)
@settings(deadline=None, max_examples=20)
@given(user=st.text(st.characters(codec="utf-8"), min_size=1, max_size=40))
def test_any_words_are_asked_in_the_templates_of_reasoning_models(family: str, user: str) -> None:
    model, words = make_model(FAMILIES[family].template), f"What is {user.strip() or 'it'}?"
    for thinking in (None, True, False):
        assert model.render(words, thinking=thinking).count(words) == 1


def test_a_template_without_end_is_stopped_and_the_next_one_is_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faithlens.model.templates._SECONDS", 2.0)
    for template in (
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{{ (3 ** (10 ** 9)) % 7 }}",  # in C, where no signal is handled
    ):
        start = time.monotonic()
        with pytest.raises(ModelError, match="needs more than 2 seconds or more than 1 GiB"):
            make_model(template).render(QUESTION)
        assert time.monotonic() - start < 10
    assert make_model(CHATML).render("2?") == "<|im_start|>user\n2?<|im_end|>\n<|im_start|>assistant\n"


def test_a_tokenizer_of_several_templates_needs_a_default() -> None:
    model = make_model(CHATML)
    model.tokenizer.chat_template = {"default": CHATML, "tools": "x"}  # type: ignore[assignment]
    assert model.render("2?") == make_model(CHATML).render("2?")
    model.tokenizer.chat_template = {"rag": CHATML, "tools": "x"}  # type: ignore[assignment]
    with pytest.raises(ModelError, match="cannot be rendered: ValueError"):
        model.render("2?")


def test_lone_halves_of_characters_reach_the_template_unchanged() -> None:
    turn = [{"role": "user", "content": "\ud800"}]
    assert (
        render_template(make_model(CHATML).tokenizer, turn, add_generation_prompt=False).split("\n")[1][0] == "\ud800"
    )
