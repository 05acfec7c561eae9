"""Sampling by an OpenAI-compatible server: vLLM, SGLang, llama.cpp, `transformers serve`.

1. The name of the model at the server is the one after # in the address, or that of the local model, which the server
   must list.
2. A first request finds the form that the server takes (`completions.FORMS`), and whether it has the local model: the
   prompt must have as many tokens there as here, and a few greedy tokens must be likely under the local model.
3. All prompts are requested, several at once. Transient failures are repeated as `Endpoint` does.
4. Tokens are those that the server states, or the text is encoded. If that gives another number of tokens than the
   server counts, the tokens that the model wrote are not known, and the continuation is unusable.

Everything is measured by the local model on these tokens, so a server changes who draws, and nothing else.
"""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from faithlens.errors import ModelError, TraceError, suggest_names
from faithlens.execution.endpoint import Endpoint, Failure, shorten_reply
from faithlens.execution.options import Sampling
from faithlens.execution.plain import read_logprobs
from faithlens.execution.sample import Continuation, SampleRequest
from faithlens.execution.samplers.completions import (
    FORMS,
    Completion,
    Form,
    make_body,
    parse_completion,
    write_prompt,
)
from faithlens.execution.samplers.sampler import Sampler, cut_tokens
from faithlens.model.model import Model

GREETING_TOKENS = 8
MOST_GAP = 1.0
"""How much less likely a greedy token of the server may be than the likeliest one here, in nats."""

REFUSALS = (400, 404, 405, 422, 501)
"""The statuses of a server that does not take a form."""


@dataclass(frozen=True)
class Link:
    """What the first request to a server showed.

    Attributes:
        endpoint: the address and the name of the model there.
        form: the form of requests that the server takes.
        states_ids: whether its replies state tokens.
        gap: the largest difference in nats, over a few greedy tokens, between the log-probabilities of the likeliest
            token and of the server's, by the local model; None if it was not measured.
        version: the version that the server states.
    """

    endpoint: Endpoint
    form: Form
    states_ids: bool
    gap: float | None
    version: str | None


@dataclass
class ServerSampler(Sampler):
    """An OpenAI-compatible server.

    Attributes:
        url: its address, which usually ends in /v1.
        served: the name of the model there; None for the name of the local model.
        timeout: seconds until a request is given up.
        retries, first_wait: as for `Endpoint`.
        concurrency: how many requests are in work at once.

    Raises:
        ConfigError: the address cannot be used.
    """

    url: str
    served: str | None = None
    timeout: float = 1800.0
    retries: int = 6
    first_wait: float = 1.0
    concurrency: int = 32
    _links: dict[str, Link] = field(default_factory=dict[str, Link], init=False, repr=False)

    name = "openai"

    def __post_init__(self) -> None:
        self._open_endpoint(self.served or "model")

    @classmethod
    def at(cls, address: str) -> "ServerSampler":
        """The server at URL or URL#NAME, where NAME is the name of the model there."""
        url, _, served = address.partition("#")
        return cls(url, served or None)

    def _continue(
        self,
        model: Model,
        requests: list[SampleRequest],
        sampling: Sampling,
        until: str | None,
        notify: Callable[[int], None],
    ) -> list[Continuation]:
        if model.name not in self._links:
            self._links[model.name] = self._greet(model, requests[0], sampling)
        link, out = self._links[model.name], list[Continuation]()
        with ThreadPoolExecutor(self.concurrency) as pool:
            for each in pool.map(lambda one: continue_prompt(link, model, one, sampling, until), requests):
                notify(len(each.ids))
                out.append(each)
        return out

    def describe(self, model: Model) -> dict[str, str | float | None]:
        """Its name and address, and what its first reply showed."""
        link = self._links.get(model.name)
        known = {"name": self.name, "url": self.url, "model": link.endpoint.model if link else self.served}
        if link is None:
            return known
        ids = "stated" if link.states_ids else "encoded"
        return {**known, "version": link.version, "form": link.form, "ids": ids, "gap": link.gap}

    def _open_endpoint(self, served: str) -> Endpoint:
        return Endpoint(self.url, served, timeout=self.timeout, retries=self.retries, first_wait=self.first_wait)

    def _greet(self, model: Model, first: SampleRequest, sampling: Sampling) -> Link:
        """The first request: which form the server takes, and whether it has the local model."""
        endpoint = self._open_endpoint(self.served or find_served(self._open_endpoint(model.name), model))
        short = first._replace(limit=min(first.limit, GREETING_TOKENS))
        problems = list[ModelError]()
        for form in FORMS:
            # in its continuous mode, `transformers serve` draws all requests as the first one
            greeting = sampling if form == "text" else Sampling(temperature=0.0)
            reply = try_form(endpoint, form, model, short, greeting)
            if isinstance(reply, ModelError):
                problems.append(reply)
                continue
            drawn = read_tokens(endpoint, model, short, reply, None)
            gap = measure_gap(model, drawn) if greeting.temperature == 0 else None
            if gap is not None and gap > MOST_GAP:
                raise endpoint.make_error(
                    f"its greedy tokens are up to {gap:.1f} nats less likely under the weights of {model.name} than the"
                    f" likeliest ones, and {MOST_GAP:g} is allowed",
                    "Serve the same model, in the same revision.",
                )
            return Link(endpoint, form, reply.ids is not None, gap, find_version(endpoint))
        raise problems[0]


def find_served(endpoint: Endpoint, model: Model) -> str:
    """The name of the local model among those that a server lists.

    Raises:
        ModelError: it lists no model of this name.
    """
    fix = "Write the name of the model at the server after the address: --sampler-url http://localhost:8000/v1#NAME."
    reply = endpoint.try_request("models")
    try:
        listed = [] if isinstance(reply, Failure) else [str(each["id"]) for each in json.loads(reply)["data"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        listed = []
    if not listed:
        reason = reply.reason if isinstance(reply, Failure) else "the server lists no models"
        raise endpoint.make_error(reason, fix)
    same = [name for name in listed if shorten_name(name) == shorten_name(model.name)]
    if model.name in listed or len(same) == 1:
        return model.name if model.name in listed else same[0]
    raise endpoint.make_error("the server lists no model of this name", f"{fix} {suggest_names(model.name, listed)}")


def shorten_name(name: str) -> str:
    """The last part of a model's name, in small letters."""
    return name.rstrip("/").rpartition("/")[2].casefold()


def find_version(endpoint: Endpoint) -> str | None:
    """The version that a server states at /version, beside /v1; None if it states none."""
    root = replace(endpoint, url=endpoint.url.rstrip("/").removesuffix("/v1"), retries=0)
    reply = root.try_request("version")
    try:
        stated = None if isinstance(reply, Failure) else json.loads(reply)["version"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return stated if isinstance(stated, str) else None


def try_form(
    endpoint: Endpoint, form: Form, model: Model, request: SampleRequest, sampling: Sampling
) -> Completion | ModelError:
    """The server's reply to a request of one form; the error if it does not take the form.

    Raises:
        ModelError: the request failed for another reason, or the reply is no completion.
    """
    body = prepare_body(endpoint, form, model, request, sampling)
    if isinstance(body, str):
        return endpoint.make_error(body, "Use a server that takes prompts in tokens, such as vLLM.")
    reply = endpoint.try_request("completions", body)
    if isinstance(reply, Failure):
        if reply.status == 404:
            return endpoint.make_error(reply.reason, "The server needs POST /v1/completions. " + reply.fix)
        if reply.status in REFUSALS:
            return endpoint.make_error(reply.reason, reply.fix)
        raise endpoint.make_error(reply.reason, reply.fix)
    completion = read_reply(endpoint, reply)
    if completion.prompt_tokens not in (None, len(request.prompt)):
        return endpoint.make_error(
            f"the server reads the prompt as {completion.prompt_tokens} tokens, and the tokenizer of {model.name} as"
            f" {len(request.prompt)}",
            "Serve the same model with the same tokenizer.",
        )
    return completion


def prepare_body(
    endpoint: Endpoint, form: Form, model: Model, request: SampleRequest, sampling: Sampling
) -> dict[str, Any] | str:
    """The body of a request; or why there is none."""
    prompt = request.prompt if form == "tokens" else write_prompt(model, request.prompt)
    if prompt is None:
        return f"no text is read as the {len(request.prompt)} tokens of the prompt, and the server takes text only"
    return make_body(form, endpoint.model, model, prompt, request, sampling)


def continue_prompt(
    link: Link, model: Model, request: SampleRequest, sampling: Sampling, until: str | None
) -> Continuation:
    """The continuation of one prompt.

    Raises:
        ModelError: the request failed in all tries, or the reply is not one of this model.
    """
    body = prepare_body(link.endpoint, link.form, model, request, sampling)
    if isinstance(body, str):
        return Continuation(request.prompt, (), "stop", request.seed, unusable_reason=body)
    completion = read_reply(link.endpoint, link.endpoint.request("completions", body))
    return read_tokens(link.endpoint, model, request, completion, until)


def read_reply(endpoint: Endpoint, reply: bytes) -> Completion:
    """The completion in a reply, by the model that was requested.

    Raises:
        ModelError: the reply is no completion, or the server states another model.
    """
    try:
        completion = parse_completion(reply)
    except ValueError as error:
        quote = shorten_reply(reply.decode(errors="replace"))
        fix = "Give the address without /completions; it usually ends in /v1."
        raise endpoint.make_error(f"status 200, and no completion ({error}): {quote}", fix) from error
    # `transformers serve` adds the revision to the name
    if completion.model is not None and completion.model.partition("@")[0] != endpoint.model.partition("@")[0]:
        raise endpoint.make_error(
            f"the server answers with the model {shorten_reply(completion.model)!r}",
            "Write the name of the model at the server after #, and serve this model.",
        )
    return completion


def read_tokens(
    endpoint: Endpoint, model: Model, request: SampleRequest, completion: Completion, until: str | None
) -> Continuation:
    """The tokens of a completion: those that the server states, or those that its text is encoded to.

    Raises:
        ModelError: the tokenizer of the local model cannot give the text again.
    """
    ids, reason = completion.ids, None
    if ids is None:
        try:
            ids = model.continue_ids(request.prompt, completion.text) if completion.text else ()
        except TraceError as error:
            fix = "Serve the model with the tokenizer of the local one, or use a server that states tokens."
            raise endpoint.make_error(error.problem, fix) from error
        ended = (0, 1) if completion.finish == "stop" else (0,)  # a server counts the token that ends the turn
        if completion.new_tokens is not None and completion.new_tokens - len(ids) not in ended:
            reason = f"the server wrote {completion.new_tokens} tokens, and its text is encoded to {len(ids)} others"
        if "\ufffd" in completion.text:
            reason = "the text of the server holds characters that are not whole, so its tokens are not known"
    drawn = cut_tokens(model, request, ids, until, completion.logprobs, completion.finish)
    return replace(drawn, unusable_reason=reason)


@torch.inference_mode()
def measure_gap(model: Model, drawn: Continuation) -> float | None:
    """How much less likely the tokens of a continuation are than the likeliest ones, in nats, at most over its tokens.

    None if there is no token, or the tokens are not known.
    """
    if not drawn.ids or drawn.unusable_reason:
        return None
    rows = read_logprobs(model, drawn.prompt + drawn.ids[:-1], len(drawn.ids))
    own = rows.gather(-1, torch.tensor(drawn.ids, device=rows.device)[:, None])[:, 0]
    return float((rows.amax(-1) - own).max())
