"""Chat templates, which are programs from outside: they are rendered within limits, and their output is checked.

1. `render_template` renders a conversation in a process of its own, with limits of time, memory and length. So a
   template that loops without end or writes a gigabyte is stopped, also where jinja's sandbox would not stop it.
2. `TemplateCheck` renders a conversation about a text that no template knows, the probe. What the template writes
   before and after it is the frame. The frame may hold no trace of the probe, not even in other letters, and the
   assistant's turn must be open at its end.
3. `TemplateCheck.check` compares each rendered prompt with the frame: it must be the frame with the user's words, whole
   and once, in the place of the probe. Templates may change the white space between words.

For example, the template ``<u>{{ m.content[:100] }}</u><a>`` turns the probe into its first 100 characters, so the
prompt does not hold the probe, and the template is refused with the text that it rendered.
"""

import atexit
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from faithlens.errors import ModelError, escape_controls, translate_errors

TEMPLATE_DAY = (2024, 7, 26)
"""The day that chat templates are given as today, so that equal runs are equal: year, month, day."""

_DATE_STRING = "26 Jul 2024"  # the same day, under the name that Llama's templates read
_SECONDS = 20.0
_LONGEST_FRAME = 1_000_000  # characters that a template may write around the user's words
_SHOWN = 600  # characters of a rendered prompt that are shown in an error
_FIX = "Correct the chat template of the model (chat_template.jinja, or chat_template in tokenizer_config.json)."

# A text with lines, options, marks, digits and letters of both cases, longer than most questions.
_PROBE = (
    'Faithlens asks: if 3 < 4 & "5" > 1, which of Zoë\'s 12 {{ boxes }} {% are %} full?'
    + "\n(A) The 1st <box>\n(B) 2,5 %\n\n"
    + " ".join(f"Fact {i}: box {i} holds {i * i} balls." for i in range(400))
    + "\n\nThink step by step, then choose the correct option"
)
_TRACES = ("faithlens asks", "fact 0:", "correct option")  # of the probe: its beginning, its middle and its end
_REPLY = "Faithlens replies."


class TemplateProcess:
    """The process in which templates are rendered. It starts with the first request, and again after it was stopped."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        atexit.register(self._stop)

    def request(self, request: Mapping[str, Any]) -> str:
        """The rendered text of a request, see `template_process`.

        Raises:
            TemplateError: the template raised an exception or went over a limit.
        """
        with self._lock:
            process = self._process = self._get_running()
            assert process.stdin is not None
            assert process.stdout is not None
            clock = threading.Timer(_SECONDS, process.kill)
            clock.start()
            try:
                process.stdin.write(json.dumps(request, default=str) + "\n")
                process.stdin.flush()
                line = process.stdout.readline()
            except BaseException as error:  # a half-written request or an unread reply would be taken for the next one
                self._stop()
                if not isinstance(error, OSError):
                    raise
                line = ""
            finally:
                clock.cancel()
            if not line.endswith("\n"):
                self._stop()
                raise TemplateError(f"rendering needs more than {_SECONDS:.0f} seconds or more than 1 GiB of memory")
        reply = json.loads(line)
        if "error" in reply:
            raise TemplateError(reply["error"])
        return reply["text"]

    def _get_running(self) -> "subprocess.Popen[str]":
        if self._process is not None and self._process.poll() is None:
            return self._process
        program = Path(__file__).with_name("template_process.py")
        return subprocess.Popen(
            [sys.executable, "-P", str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, encoding="utf-8",
        )  # fmt: skip

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@cache
def get_process(owner: int) -> TemplateProcess:
    """The one process of templates of the process `owner`: one that was forked has its own."""
    return TemplateProcess()


def render_template(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, str]], **variables: object) -> str:
    """The text of a conversation in the chat template of `tokenizer`.

    Raises:
        TemplateError: the template raised an exception, or went over a limit of time, memory or length.
        ValueError: the tokenizer has several templates, and none of them is the default.
    """
    context = {"date_string": _DATE_STRING, **tokenizer.special_tokens_map, **variables}
    longest = _LONGEST_FRAME + 4 * sum(len(message["content"]) for message in messages)
    return get_process(os.getpid()).request(
        {
            "template": tokenizer.get_chat_template(),
            "messages": messages,
            "variables": context,
            "day": TEMPLATE_DAY,
            "longest": longest,
        }
    )


class TemplateCheck:
    """The check of one tokenizer's chat template, with one setting of its switches.

    Raises:
        ModelError: the template cannot be rendered, or its prompt does not ask what the user asks.
    """

    def __init__(self, name: str, tokenizer: PreTrainedTokenizerBase, switches: Mapping[str, bool]) -> None:
        self._name, self._tokenizer, self._switches = name, tokenizer, switches
        text = self._render(_PROBE)
        self._before, probe, self._after = _join_words(text).partition(_join_words(_PROBE))
        if not probe:
            raise self._refuse("does not hold the question as it is asked, word by word", text)
        if any(trace in (self._before + self._after).casefold() for trace in _TRACES):
            raise self._refuse("holds the question more than once", text)
        self._check_turn(text)

    def render(self, user: str, turns: Sequence[tuple[str, str]] = ()) -> str:
        """The prompt for the messages `turns` and the words `user`, ended by the start of the assistant's turn.

        Raises:
            ModelError: the template cannot be rendered, or its prompt does not hold `user` once and as it is, or does
                not hold each of `turns` before it, in their order.
        """
        if turns:
            return self._render_conversation(user, turns)
        text = self._render(user)
        words, user_words = _join_words(text), _join_words(user)
        inner = words.removeprefix(self._before).removesuffix(self._after)
        if len(words) - len(inner) == len(self._before) + len(self._after) and inner.strip() == user_words:
            return text
        n = words.casefold().count(user_words.casefold())
        if n > 1:
            raise self._refuse(f"holds the question {n} times", text)
        if user_words not in words:
            raise self._refuse("does not hold the question as it is asked", text)
        if not words.endswith(self._after):
            raise self._refuse("ends otherwise than with the assistant's turn", text)
        return text  # a frame that depends on the question

    def _render_conversation(self, user: str, turns: Sequence[tuple[str, str]]) -> str:
        """The prompt for several messages: all of them must stand in it in their order, and the turn be open after."""
        text = self._render(user, turns)
        words, at = _join_words(text), 0
        for message in [*(content for _, content in turns), user]:
            place = words.find(_join_words(message), at)
            if place < 0:
                raise self._refuse("does not hold all messages of the conversation, in their order", text)
            at = place + len(_join_words(message))
        if not words.endswith(self._after):
            raise self._refuse("ends otherwise than with the assistant's turn", text)
        return text

    def _render(self, user: str, turns: Sequence[tuple[str, str]] = ()) -> str:
        with translate_errors(ModelError, f"the chat template of {self._name} cannot be rendered", _FIX):
            messages = [{"role": role, "content": content} for role, content in (*turns, ("user", user))]
            return render_template(self._tokenizer, messages, add_generation_prompt=True, **self._switches)

    def _check_turn(self, text: str) -> None:
        """Check that the assistant's turn is open at the end of `text`.

        A template may open it only where it is asked for a generation prompt, or always. So the turn is taken as
        closed if the template writes nothing for the generation prompt, and writes a mark of the assistant before a
        reply. A template that marks both roles in the same way has no turns.
        """
        try:
            turns = [{"role": "user", "content": _PROBE}, {"role": "assistant", "content": _REPLY}]
            closed = render_template(self._tokenizer, turns[:1], add_generation_prompt=False, **self._switches)
            replied = render_template(self._tokenizer, turns, add_generation_prompt=False, **self._switches)
        except TemplateError:  # a template for single questions only
            return
        mark, reply, _ = replied.removeprefix(closed).partition(_REPLY)
        if not reply or not replied.startswith(closed) or not mark.strip() or re.search("(?i)think|thought", mark):
            return
        opened, before = _join_words(text.removeprefix(closed)), self._before.strip()
        opens_user = text.startswith(closed) and before.endswith(opened)  # or nothing at all
        if opens_user and not before.endswith(_join_words(mark)):
            raise self._refuse(f"does not open the assistant's turn, which starts with {mark.strip()!r}", text)

    def _refuse(self, fault: str, text: str) -> ModelError:
        excerpt = text if len(text) <= _SHOWN else f"{text[: _SHOWN // 2]} [...] {text[-_SHOWN // 2 :]}"
        excerpt = escape_controls(excerpt)
        return ModelError(f"the prompt that the chat template of {self._name} makes {fault}. It is:\n{excerpt}", _FIX)


def _join_words(text: str) -> str:
    """The words of a text with one space between them: some templates, such as Falcon's, change white space."""
    return " ".join(text.split())
