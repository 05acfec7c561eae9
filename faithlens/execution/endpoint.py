"""A model behind an OpenAI-style endpoint: the exchange of one request, and an editor (POST URL/chat/completions).

A reply has a time and a size: a server that sends a byte now and then, or gigabytes, is given up.

The key is read from the environment for each request. It is in no attribute, message or log, and it is sent only to the
address that the user gave: redirects are refused.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, AnyStr
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request

from faithlens.errors import ConfigError, ModelError, escape_controls
from faithlens.execution.deadline import Deadline, make_opener
from faithlens.execution.options import Sampling

CONCURRENT_REQUESTS = 8
LONGEST_WAIT = 60.0  # seconds between two tries, also if the server wants more
LARGEST_REPLY = 16 << 20  # bytes; more is no answer of so few tokens
LONGEST_QUOTE = 300  # characters of a server's reply in an error
TRANSIENT_STATUSES = (408, 409, 425, 429)  # and all from 500 on


@dataclass(frozen=True)
class Endpoint:
    """An OpenAI-style endpoint; with `write` it is an editor.

    Attributes:
        url: the address without "/chat/completions", such as "http://localhost:8000/v1".
        model: the name of the model at this endpoint.
        key_env: the environment variable that holds the key; if it is not set, no key is sent.
        timeout: seconds until a request is given up, from the connection to the last byte of the reply.
        retries: how often a request is repeated after a timeout, a lost connection, "too many requests" or an error of
            the server.
        first_wait: seconds before the first repetition, doubled each time, unless the server names a Retry-After.
        sampling: temperature and nucleus.

    Raises:
        ConfigError: the address cannot be used.
    """

    url: str
    model: str
    key_env: str = "OPENAI_API_KEY"
    timeout: float = 60.0
    retries: int = 4
    first_wait: float = 1.0
    sampling: Sampling = Sampling()

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.username or parts.password:
            raise ConfigError(
                f"the address of the endpoint at {parts.hostname} holds a password",
                f"Put the key into ${self.key_env}.",
            )
        if parts.query:  # it is not repeated: it may hold a key
            raise ConfigError(
                f"the address of the endpoint at {parts.hostname} holds a query (?...)",
                f"Leave it out; put a key into ${self.key_env}.",
            )
        if parts.scheme not in ("http", "https") or not parts.hostname or not self.model:
            raise ConfigError(
                f"an endpoint needs an http address and the name of a model, got {self.url!r} and {self.model!r}",
                "Write them as http://localhost:8000/v1 and Qwen/Qwen2.5-7B-Instruct.",
            )

    @property
    def name(self) -> str:
        """Address and model, for the log of edits."""
        return f"{self.url}#{self.model}"

    def write(self, requests: Sequence[str], seeds: Sequence[int], max_tokens: int = 60) -> list[str]:
        """The answer to each request, in the order given, of at most `max_tokens` tokens; empty if it has no text.

        Raises:
            ModelError: a request was refused, failed in all tries, or the reply is no chat completion.
        """
        return [self._refuse_failure(answer) for answer in self.try_write(requests, seeds, max_tokens)]

    def try_write(self, requests: Sequence[str], seeds: Sequence[int], max_tokens: int = 60) -> "list[str | Failure]":
        """The answers as `write` returns them, with a `Failure` in the place of each that could not be had."""
        with ThreadPoolExecutor(CONCURRENT_REQUESTS) as pool:
            return list(pool.map(self._request_answer, requests, seeds, [max_tokens] * len(requests)))

    def _request_answer(self, request: str, seed: int, max_tokens: int) -> "str | Failure":
        """Request one answer, with repetitions after transient failures."""
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": request}],
            "temperature": self.sampling.temperature,
            "top_p": self.sampling.top_p,
            "seed": seed,
            "max_tokens": max_tokens,
        }
        reply = self.try_request("chat/completions", body)
        return reply if isinstance(reply, Failure) else self._parse_content(reply)

    def request(self, path: str, body: Mapping[str, Any] | None = None) -> bytes:
        """The reply to one request: to a POST of `body`, or to a GET where there is none.

        Raises:
            ModelError: the request was refused, or failed in all tries.
        """
        return self._refuse_failure(self.try_request(path, body))

    def _refuse_failure(self, reply: "AnyStr | Failure") -> AnyStr:
        if isinstance(reply, Failure):
            raise self.make_error(reply.reason, reply.fix)
        return reply

    def try_request(self, path: str, body: Mapping[str, Any] | None = None) -> "bytes | Failure":
        """The reply to one request, which is repeated after transient failures; or why the last try failed."""
        tried, content = 0, None if body is None else json.dumps(body).encode()
        while isinstance(reply := self._exchange(path, content), Failure):
            if not reply.is_transient or tried >= self.retries:
                break
            time.sleep(min(LONGEST_WAIT, reply.wait or self.first_wait * 2**tried))
            tried += 1
        return reply

    def _exchange(self, path: str, body: bytes | None) -> "bytes | Failure":
        """Send one request; the reply, or why it failed."""
        deadline, key = Deadline(self.timeout), self._read_key()
        late = Failure(f"no reply within {self.timeout:g} seconds", "Check that the server is up.", True)
        try:
            with deadline.running():
                reply = self._send(path, body, key, deadline)
        except (OSError, HTTPException, ValueError) as error:  # ValueError: of an answer that is no HTTP
            is_late = isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError)
            if is_late or deadline.is_over:
                return late
            return Failure(f"no connection: {error}", "Check the address, and that the server is up.", True)
        return late if deadline.is_over else reply

    def _send(self, path: str, body: bytes | None, key: str, deadline: Deadline) -> "bytes | Failure":
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        method = "GET" if body is None else "POST"
        request = Request(f"{self.url.rstrip('/')}/{path}", body, headers, method=method)
        try:
            with make_opener(deadline).open(request, timeout=self.timeout) as response:
                reply = response.read(LARGEST_REPLY + 1)
                missing = response.length or 0
        except HTTPError as error:
            with error:
                body_text = error.read(LARGEST_REPLY).decode(errors="replace")
            body_text = self._hide_key(body_text.encode(), key).decode()
            return explain_status(error.code, body_text, error.headers.get("Retry-After"), self.key_env)
        if len(reply) > LARGEST_REPLY:
            fix = "Check the address: an answer to a request has a few hundred bytes."
            return Failure(f"the reply has more than {LARGEST_REPLY:,} bytes", fix, False)
        if missing:
            return Failure(f"the reply broke off {missing} bytes before its end", "Check the connection.", True)
        return self._hide_key(reply, key)

    def _hide_key(self, reply: bytes, key: str) -> bytes:
        """A reply in which the server does not repeat the key: replies are quoted in errors and written to files."""
        return reply.replace(key.encode(), f"${self.key_env}".encode()) if key else reply

    def _read_key(self) -> str:
        """The key, or an empty text. A key that no header can hold is refused: the error of urllib would print it."""
        key = os.environ.get(self.key_env, "").strip()
        if key.isascii() and key.isprintable():
            return key
        raise ConfigError(
            f"the key in ${self.key_env} holds characters that no key has",
            "Export the key again, without quotes or line breaks.",
        )

    def _parse_content(self, reply: bytes) -> "str | Failure":
        """The text of a chat completion. Half of a surrogate pair, which is no character, becomes U+FFFD."""
        try:
            content = json.loads(reply)["choices"][0]["message"]["content"] or ""
        except (ValueError, KeyError, IndexError, TypeError, RecursionError):
            content = None
        if isinstance(content, str):
            text = content.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            # once more: JSON may write the characters of the key as numbers
            return self._hide_key(text.encode(), self._read_key()).decode()
        return Failure(
            f"status 200, and no chat completion: {shorten_reply(reply.decode(errors='replace'))}",
            "Give the address without /chat/completions; it usually ends in /v1.",
            False,
        )

    def make_error(self, reason: str, fix: str) -> ModelError:
        """The error of a request that has no answer."""
        return ModelError(f"{self.model} at {self.url} gave no answer: {reason}", fix)


@dataclass(frozen=True)
class Failure:
    """Why a request failed.

    Attributes:
        reason: what happened.
        fix: what the user can do.
        is_transient: whether the request may be repeated.
        wait: the seconds that the server wants to wait before; 0 if it names none.
        status: the HTTP status; 0 if there was none.
    """

    reason: str
    fix: str
    is_transient: bool
    wait: float = 0.0
    status: int = 0


def explain_status(status: int, reply: str, retry_after: str | None, key_env: str) -> Failure:
    """The failure that an HTTP status stands for."""
    fix = {
        401: f"Put a key for this endpoint into ${key_env}.",
        403: f"Put a key that may use this model into ${key_env}.",
        404: "Check the name of the model and the address, which usually ends in /v1.",
        429: "Try later, or ask the provider for a higher limit.",
    }.get(status, "Try later." if status >= 500 else "Read the reply of the server above.")
    if 300 <= status < 400:
        fix = "The server sends requests on to another address, where the key must not go: name that address yourself."
    try:
        wait = float(retry_after or 0)
    except ValueError:  # a date
        wait = 0.0
    is_transient = status in TRANSIENT_STATUSES or status >= 500
    return Failure(f"status {status}: {shorten_reply(reply)}", fix, is_transient, max(0.0, wait), status)


def shorten_reply(text: str) -> str:
    """The start of a server's reply, on one line, without characters that a terminal obeys."""
    line = escape_controls(" ".join(text[: 10 * LONGEST_QUOTE].split()))
    return line if len(line) <= LONGEST_QUOTE else line[: LONGEST_QUOTE - 1] + "…"
