"""A model behind an OpenAI-style endpoint (POST URL/chat/completions), asked many things at once.

The key is read from the environment for each request. It stands in no attribute, message or log, and goes nowhere but
to the address that was given: redirects are refused.
"""

import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from faithlens.errors import ConfigError, ModelError
from faithlens.execution.sample import Sampling

CONCURRENT_REQUESTS = 8
LONGEST_WAIT = 60.0  # seconds between two tries, whatever the server asks for
LONGEST_QUOTE = 300  # characters of a server's reply in an error
TRANSIENT_STATUSES = (408, 409, 425, 429)  # and all from 500 on


class NoRedirects(HTTPRedirectHandler):
    """Leaves a redirect to be reported as an error: urllib would take the key along to another host."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """Never follow."""
        return None


@dataclass(frozen=True)
class Endpoint:
    """An OpenAI-style endpoint as an editor.

    Attributes:
        url: up to where "/chat/completions" follows, such as "http://localhost:8000/v1".
        model: the model's name there.
        key_env: the environment variable that holds the key; unset, none is sent.
        timeout: seconds until a request is given up.
        retries: how often a request is tried again: after a timeout, a lost connection, "too many requests" or a fault
            of the server.
        first_wait: seconds before the first of these, doubled each time; a server's own Retry-After goes first.
        sampling: temperature and nucleus.

    Raises:
        ConfigError: no address that can be used.
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
                f"an endpoint at {parts.hostname}", "its address holds a password", f"put the key into ${self.key_env}"
            )
        if parts.scheme not in ("http", "https") or not parts.hostname or not self.model:
            do = "give an address and a model, such as http://localhost:8000/v1 and Qwen/Qwen2.5-7B-Instruct"
            raise ConfigError(f"the endpoint {self.url!r} with model {self.model!r}", "no such address or model", do)

    @property
    def name(self) -> str:
        """Address and model, for the log of edits."""
        return f"{self.url}#{self.model}"

    def write(self, requests: Sequence[str], seeds: Sequence[int], max_tokens: int = 60) -> list[str]:
        """The answer to each request, in the order given, at most `max_tokens` tokens long; empty where it has no words.

        Raises:
            ModelError: a request was refused, went on failing, or what came back is no chat completion.
        """
        with ThreadPoolExecutor(CONCURRENT_REQUESTS) as pool:
            return list(pool.map(self._request_answer, requests, seeds, [max_tokens] * len(requests)))

    def _request_answer(self, request: str, seed: int, most: int) -> str:
        """One answer, however many tries it takes."""
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": request}],
            "temperature": self.sampling.temperature,
            "top_p": self.sampling.top_p,
            "seed": seed,
            "max_tokens": most,
        }
        tried = 0
        while isinstance(reply := self._post(json.dumps(body).encode()), Failure):
            if not reply.is_transient or tried >= self.retries:
                raise self._make_error(reply.reason, reply.fix)
            time.sleep(min(LONGEST_WAIT, reply.wait or self.first_wait * 2**tried))
            tried += 1
        return self._parse_content(reply)

    def _post(self, body: bytes) -> "bytes | Failure":
        """Send one request: what came back, or what went wrong."""
        try:
            return self._send(body, self._read_key())
        except (OSError, HTTPException) as error:
            if isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError):
                return Failure(f"no reply within {self.timeout:g} seconds", "see that the server is up", True)
            return Failure(f"no connection: {error}", "check the address, and that the server is up", True)

    def _send(self, body: bytes, key: str) -> "bytes | Failure":
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        request = Request(f"{self.url.rstrip('/')}/chat/completions", body, headers, method="POST")
        try:
            with build_opener(NoRedirects).open(request, timeout=self.timeout) as response:
                return response.read()
        except HTTPError as error:
            with error:
                said = error.read().decode(errors="replace")
            said = said.replace(key, f"${self.key_env}") if key else said
            return explain_status(error.code, said, error.headers.get("Retry-After"), self.key_env)

    def _read_key(self) -> str:
        """The key; empty where there is none. One that no header can carry would be printed by the error of urllib."""
        key = os.environ.get(self.key_env, "").strip()
        if key.isascii() and key.isprintable():
            return key
        do = "export the key again, without quotes or line breaks"
        raise ConfigError(f"the key in ${self.key_env}", "it holds characters that no key has", do)

    def _parse_content(self, reply: bytes) -> str:
        """The words of a chat completion."""
        try:
            content = json.loads(reply)["choices"][0]["message"]["content"] or ""
        except (ValueError, KeyError, IndexError, TypeError):
            content = None
        if isinstance(content, str):
            return content
        found = f"status 200, and no chat completion: {shorten_reply(reply.decode(errors='replace'))}"
        raise self._make_error(found, "give the address up to where /chat/completions follows; it mostly ends in /v1")

    def _make_error(self, found: str, do: str) -> ModelError:
        return ModelError(f"an answer of {self.model} from {self.url}", found, do)


@dataclass(frozen=True)
class Failure:
    """Why a request has no reply, what to do, whether and after how many seconds (0: not said) to try it again."""

    reason: str
    fix: str
    is_transient: bool
    wait: float = 0.0


def explain_status(status: int, reply: str, retry_after: str | None, key_env: str) -> Failure:
    """What a status that is no success means."""
    do = {
        401: f"put a key for this endpoint into ${key_env}",
        403: f"put a key that may use this model into ${key_env}",
        404: "check the model's name, and that the address mostly ends in /v1",
        429: "try later, or ask for a higher limit",
    }.get(status, "try later" if status >= 500 else "see what the server said")
    try:
        wait = float(retry_after or 0)
    except ValueError:  # a date
        wait = 0.0
    again = status in TRANSIENT_STATUSES or status >= 500
    return Failure(f"status {status}: {shorten_reply(reply)}", do, again, max(0.0, wait))


def shorten_reply(text: str) -> str:
    """The beginning of a server's reply on one line."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_QUOTE else line[: LONGEST_QUOTE - 1] + "…"
