"""The sampler for servers against a small server in this process, which speaks every dialect and fails on demand."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from faithlens.errors import ConfigError, ModelError, PlanError
from faithlens.execution.options import Sampling
from faithlens.execution.sample import Continuation, sample
from faithlens.execution.samplers.server import ServerSampler
from faithlens.model.model import Model
from faithlens.model.structure import Structure
from tests.conftest import tiny
from tests.execution.http_server import KEY, Reply, Request, serve
from tests.execution.samplers.serving import make_served_model

NAME = "tiny-llama"
GREEDY = Sampling(max_new_tokens=12)
Body = dict[str, Any]


@dataclass
class Fake:
    """A server with the local model behind it.

    `refuses` are the fields that it does not know; `states` is how it states tokens; `replies` go first.
    """

    model: Model
    url: str = ""
    refuses: frozenset[str] = frozenset()
    takes_ids: bool = True
    states: str = "token_ids"
    served: str = NAME
    replies: list[Reply] = field(default_factory=list)
    seen: list[Body] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    change: Callable[[Body], None] = lambda reply: None

    def complete(self, body: Body) -> Reply:
        """What the real servers answer: the tokens of the local model, in the form of one of them."""
        if self.replies:
            return self.replies.pop(0)
        if unknown := sorted(self.refuses & set(body)):
            return 422, {}, f"Unexpected fields in the request: {unknown}".encode()
        if not self.takes_ids and not isinstance(body["prompt"], str):
            return 400, {}, b"prompt must be a string."
        prompt = body["prompt"]
        ids = tuple(prompt) if isinstance(prompt, list) else self.model.encode_prompt(prompt)
        how = Sampling(body["max_tokens"], body["temperature"], body["top_p"])
        [drawn] = sample(self.model, [ids], [body["seed"]], how)
        text = self.model.decode(drawn.ids)
        ended = (*drawn.ids, 1) if drawn.finish == "stop" else drawn.ids
        choice: Body = {"index": 0, "text": text, "finish_reason": drawn.finish, "logprobs": None}
        logprobs = [-0.5 - i for i in range(len(ended))]
        if self.states == "token_ids":
            choice |= {"token_ids": list(ended), "logprobs": {"token_logprobs": logprobs}}
        elif self.states == "names":
            choice["logprobs"] = {"tokens": [f"token_id:{i}" for i in ended], "token_logprobs": logprobs}
        elif self.states == "content":
            pairs = zip(ended, logprobs, strict=True)
            choice["logprobs"] = {"content": [{"id": i, "token": "?", "logprob": value} for i, value in pairs]}
        usage = {"prompt_tokens": len(ids), "completion_tokens": len(ended)}
        reply: Body = {"model": body["model"], "choices": [choice], "usage": usage}
        self.change(reply)
        return 200, {}, json.dumps(reply).encode()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    it, lock = Fake(make_served_model()), threading.Lock()

    def answer(request: Request) -> Reply:
        if request.method == "GET":
            known = {"/v1/models": {"data": [{"id": it.served}, {"id": "org/other"}]}, "/version": {"version": "0.9"}}
            page = known.get(request.path)
            return (200, {}, json.dumps(page).encode()) if page else (404, {}, b"no such page")
        with lock:
            it.seen.append(request.body)
            it.headers.append(request.headers)
            return it.complete(request.body) if request.path == "/v1/completions" else (404, {}, b"no such page")

    with serve(answer) as it.url:
        yield it


def make(fake: Fake, **more: Any) -> ServerSampler:
    return ServerSampler(fake.url, **({"first_wait": 0.01, "timeout": 600.0} | more))


def make_prompts(model: Model) -> list[tuple[int, ...]]:
    return [model.encode_prompt(text) for text in ("a = ", "two words ", "x" * 30, "2 + 3 is ")]


def drop_logprobs(drawn: list[Continuation]) -> list[Continuation]:
    return [Continuation(each.prompt, each.ids, each.finish, each.seed) for each in drawn]


@pytest.mark.parametrize("states", ["token_ids", "names", "content", "nothing"])
@pytest.mark.parametrize(
    ("refuses", "takes_ids", "form"),
    [
        (frozenset(), True, "tokens"),
        (frozenset({"return_token_ids"}), False, "text"),
        (frozenset({"top_k", "generation_config"}), True, "plain"),
    ],
)
def test_every_dialect_gives_the_tokens_of_the_local_model(
    fake: Fake, refuses: frozenset[str], takes_ids: bool, form: str, states: str
) -> None:
    fake.refuses, fake.takes_ids, fake.states = refuses, takes_ids, states
    prompts, server = make_prompts(fake.model), make(fake)
    written = server.draw(fake.model, prompts, range(4), GREEDY)
    assert drop_logprobs(written) == sample(fake.model, prompts, range(4), GREEDY)
    for each in written:
        known = None if states == "nothing" else tuple(-0.5 - i for i in range(len(each.ids)))
        assert each.logprobs == known
    facts = server.describe(fake.model)
    assert facts.pop("gap") == pytest.approx(0.0, abs=1e-4)
    assert facts == {
        "name": "openai", "url": fake.url, "model": NAME, "version": "0.9", "form": form,
        "ids": "encoded" if states == "nothing" else "stated",
    }  # fmt: skip


def test_a_request_names_every_setting(fake: Fake) -> None:
    how = Sampling(max_new_tokens=9, temperature=0.7, top_p=0.9)
    make(fake).draw(fake.model, [(9, 10)], [2**40 + 3], how)
    first, second = fake.seen
    assert (first["temperature"], first["max_tokens"]) == (0.0, 8)
    assert second == {
        "model": NAME, "prompt": [9, 10], "max_tokens": 9, "temperature": 0.7, "top_p": 0.9, "seed": 3, "top_k": -1,
        "min_p": 0.0, "repetition_penalty": 1.0, "stop_token_ids": [1], "logprobs": 1, "return_token_ids": True,
        "return_tokens_as_token_ids": True, "skip_special_tokens": False,
    }  # fmt: skip
    assert {headers["Authorization"] for headers in fake.headers} == {f"Bearer {KEY}"}


def test_a_prompt_that_text_cannot_say_is_unusable_and_not_guessed(fake: Fake) -> None:
    """Half of a character: a server that takes text would read other tokens."""
    fake.takes_ids, fake.states = False, "nothing"
    half = fake.model.encode_prompt("é")[:1]
    first, second = make(fake).draw(fake.model, [(20, 21), half], [0, 0], GREEDY)
    assert first.unusable_reason is None
    assert second.ids == ()
    assert second.unusable_reason is not None
    assert "takes text only" in second.unusable_reason


def test_tokens_that_the_text_does_not_show_make_it_unusable(fake: Fake) -> None:
    fake.states = "nothing"

    def count_more(reply: Body) -> None:
        reply["usage"]["completion_tokens"] += 2

    fake.change = count_more
    for each in make(fake).draw(fake.model, make_prompts(fake.model), range(4), GREEDY):
        assert each.unusable_reason is not None
        assert "is encoded to" in each.unusable_reason


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_fault_is_tried_again(fake: Fake, status: int) -> None:
    fake.replies = [(status, {"Retry-After": "0"}, b"later")] * 3
    written = make(fake).draw(fake.model, [(9, 10)], [0], GREEDY)
    assert drop_logprobs(written) == sample(fake.model, [(9, 10)], [0], GREEDY)
    assert len(fake.seen) == 5


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ((500, {}, b"it broke"), "status 500: it broke"),
        ((429, {}, b"slow down"), "status 429: slow down"),
        ((200, {}, b"<html>Hello, I am prose.</html>"), "no completion .*I am prose"),
        ((200, {}, b'{"choices": [{"text": "half of'), "no completion"),
        ((200, {}, b'{"choices": []}'), "no completion"),
        ((200, {}, b'{"choices": [{"text": 7}]}'), "no completion"),
        ((200, {}, b'{"choices": [{"text": "a", "finish_reason": "content_filter"}]}'), "content_filter"),
        ((200, {"Content-Length": "999"}, b'{"choices"'), "the reply broke off 989 bytes before its end"),
        ((302, {"Location": "http://127.0.0.1:9/stolen"}, b""), "status 302"),
        ((401, {}, f"wrong key {KEY}".encode()), r"wrong key \$OPENAI_API_KEY"),
    ],
    ids=["500", "429", "prose", "torn", "empty", "no text", "filtered", "half", "redirect", "key"],
)
def test_a_lasting_fault_is_an_error_that_says_what_came(fake: Fake, reply: Reply, words: str) -> None:
    fake.replies = [reply] * 9
    with pytest.raises(ModelError, match=f"gave no answer: .*{words}") as caught:
        make(fake, retries=2).draw(fake.model, [(9, 10)], [0], GREEDY)
    assert KEY not in str(caught.value)


def test_a_fault_in_the_middle_is_an_error_too(fake: Fake) -> None:
    server = make(fake, retries=1)
    server.draw(fake.model, [(9, 10)], [0], GREEDY)
    fake.replies = [(200, {}, b"prose")]
    with pytest.raises(ModelError, match="no completion"):
        server.draw(fake.model, make_prompts(fake.model), range(4), GREEDY)


def test_a_server_that_does_not_answer_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it accepts, and says nothing
        server = ServerSampler(f"http://127.0.0.1:{silent.getsockname()[1]}/v1", NAME, timeout=0.3, retries=0)
        with pytest.raises(ModelError, match=r"no reply within 0\.3 seconds"):
            server.draw(make_served_model(), [(9, 10)], [0], GREEDY)


@pytest.mark.parametrize(
    ("served", "called"),
    [(NAME, NAME), ("Org/Tiny-Llama", "Org/Tiny-Llama"), ("org/another", None)],
)
def test_the_model_is_found_by_its_name_among_those_served(fake: Fake, served: str, called: str | None) -> None:
    fake.served, server = served, make(fake)
    if called is None:
        with pytest.raises(ModelError, match="lists no model of this name") as caught:
            server.draw(fake.model, [(9, 10)], [0], GREEDY)
        assert "org/another" in caught.value.fix
        return
    server.draw(fake.model, [(9, 10)], [0], GREEDY)
    assert server.describe(fake.model)["model"] == called


def change_model(reply: Body) -> None:
    reply["model"] = "another-model"


def change_prompt_count(reply: Body) -> None:
    reply["usage"]["prompt_tokens"] += 1


def change_tokens(reply: Body) -> None:
    reply["choices"][0]["token_ids"] = [5 + token % 90 for token in range(7)]


def name_token_beyond_the_vocabulary(reply: Body) -> None:
    reply["choices"][0]["token_ids"] = [100_000]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (change_model, "answers with the model 'another-model'"),
        (change_prompt_count, "reads the prompt as 3 tokens, and the tokenizer of tiny-llama as 2"),
        (change_tokens, "nats less likely under the weights"),
        (name_token_beyond_the_vocabulary, "100000"),
    ],
)
def test_another_model_or_tokenizer_is_an_error(fake: Fake, change: Callable[[Body], None], words: str) -> None:
    fake.change = change
    with pytest.raises(ModelError, match=words):
        make(fake).draw(fake.model, [(9, 10)], [0], GREEDY)


@pytest.mark.parametrize(
    "url",
    ["localhost:8000", "ftp://host/v1", "http://", f"http://user:{KEY}@host/v1", f"http://host/v1?api_key={KEY}"],
)
def test_an_address_that_cannot_be_used_is_refused_without_its_secrets(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ServerSampler.at(url)
    assert KEY not in str(caught.value)


def test_what_cannot_be_asked_of_a_server_is_refused_before_it_is_called(fake: Fake) -> None:
    forbidden = tiny("llama", Structure((("steps", 5), ("answer", 6)), (("answer", "steps"),)))
    with pytest.raises(ModelError, match="without some attention edges"):
        make(fake).draw(forbidden, [(9, 10)], [0], GREEDY)
    with pytest.raises(PlanError, match="reads at most 512 tokens"):
        make(fake).draw(fake.model, [(9,) * 511], [0], GREEDY)
    assert make(fake).draw(fake.model, [], []) == []
    assert fake.seen == []
