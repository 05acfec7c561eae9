"""The endpoint against a real local server, which records its requests and fails on demand."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from faithlens.errors import ConfigError, ModelError
from faithlens.execution.endpoint import CONCURRENT_REQUESTS, Endpoint, Failure
from faithlens.execution.options import Sampling
from faithlens.interventions.editor import Editor, ModelEditor, load_editor
from tests.execution.http_server import KEY, Reply, Request, serve


def completion(text: str | None) -> str:
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]})


@dataclass
class Server:
    """Replies in turn, then echoes; `seen` are the bodies and `headers` the headers of all requests."""

    url: str = ""
    replies: list[tuple[int, dict[str, str], str]] = field(default_factory=list)
    seen: list[dict] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    together: int = 1  # a reply waits until this many requests are in work at once
    busy: int = 0
    busiest: int = 0
    hold: threading.Event = field(default_factory=threading.Event)  # no reply before it is set
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    it, lock = Server(), threading.Condition()
    it.hold.set()

    def answer(request: Request) -> Reply:
        with lock:
            it.seen.append(request.body)
            it.headers.append(request.headers)
            it.paths.append(request.path)
            it.busy += 1
            it.busiest = max(it.busiest, it.busy)
            lock.notify_all()
            lock.wait_for(lambda: it.busiest >= it.together)
            echo = completion(f"echo {request.body['messages'][0]['content']}")
            status, headers, text = it.replies.pop(0) if it.replies else (200, {}, echo)
        it.arrived.release()
        it.hold.wait()
        with lock:
            it.busy -= 1
        return status, headers, text.encode()

    with serve(answer) as it.url:
        yield it


def endpoint(server: Server, **more: object) -> Endpoint:
    return Endpoint(server.url, "m", **({"first_wait": 0.01, "timeout": 600.0} | more))  # pyright: ignore[reportArgumentType]


def test_requests_are_answered_in_order_with_their_seeds(server: Server) -> None:
    one = endpoint(server, sampling=Sampling(temperature=0.5, top_p=0.9))
    assert isinstance(one, Editor)
    assert one.write(["a", "b", "c"], [1, 2, 2**47], max_tokens=7) == ["echo a", "echo b", "echo c"]
    assert sorted(server.seen, key=lambda body: body["seed"]) == [
        {
            "model": "m",
            "messages": [{"role": "user", "content": text}],
            "temperature": 0.5,
            "top_p": 0.9,
            "seed": seed,
            "max_tokens": 7,
        }
        for text, seed in (("a", 1), ("b", 2), ("c", 2**47))
    ]
    assert set(server.paths) == {"/v1/chat/completions"}
    assert {headers["Authorization"] for headers in server.headers} == {f"Bearer {KEY}"}


def test_many_are_asked_at_once_but_not_all(server: Server) -> None:
    server.together = 2
    words = [str(i) for i in range(20)]
    assert endpoint(server).write(words, range(20)) == [f"echo {word}" for word in words]
    assert 2 <= server.busiest <= CONCURRENT_REQUESTS


def test_no_key_no_header(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setenv("OTHER", "two")
    assert endpoint(server).write(["a"], [0]) == ["echo a"]
    assert endpoint(server, key_env="OTHER").write(["a"], [0]) == ["echo a"]
    assert [headers.get("Authorization") for headers in server.headers] == [None, "Bearer two"]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_fault_is_tried_again(server: Server, status: int) -> None:
    server.replies = [(status, {}, "later"), (status, {}, "later")]
    assert endpoint(server, retries=2).write(["a"], [0]) == ["echo a"]
    assert len(server.seen) == 3


def test_waits_double_and_the_servers_own_goes_first(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("faithlens.execution.endpoint.time", type("T", (), {"sleep": staticmethod(slept.append)}))
    again = [{}, {}, {"Retry-After": "7"}, {"Retry-After": "9999"}, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}]
    server.replies = [(429, headers, "") for headers in again]
    assert endpoint(server, retries=5, first_wait=0.5).write(["a"], [0]) == ["echo a"]
    assert slept == [0.5, 1.0, 7.0, 60.0, 8.0]


def test_a_lasting_fault_is_an_error_that_says_what_to_do(server: Server) -> None:
    server.replies = [(500, {}, "boom")] * 3
    with pytest.raises(ModelError) as caught:
        endpoint(server, retries=2).write(["a"], [0])
    assert str(caught.value) == f"m at {server.url} gave no answer: status 500: boom\nTry later."
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    ("status", "fix"), [(400, "reply of the server"), (401, "OPENAI_API_KEY"), (403, "OPENAI_API_KEY"), (404, "/v1")]
)
def test_a_refusal_is_not_tried_again_and_tells_no_key(server: Server, status: int, fix: str) -> None:
    server.replies = [(status, {}, f"bad key {KEY}")]
    with pytest.raises(ModelError) as caught:
        endpoint(server).write(["a"], [0])
    assert caught.value.problem.endswith(f"gave no answer: status {status}: bad key $OPENAI_API_KEY")
    assert fix in caught.value.fix
    assert len(server.seen) == 1


def test_the_key_is_nowhere(server: Server) -> None:
    one = endpoint(server)
    assert one.write(["a"], [0]) == ["echo a"]
    assert KEY not in repr(one) + str(vars(one)) + one.name
    assert one.name == f"{server.url}#m"


@pytest.mark.parametrize("key", [f"{KEY}\nX: y", f"“{KEY}”"])
def test_a_key_that_no_header_can_carry_is_not_printed(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(ConfigError, match="OPENAI_API_KEY") as caught:
        Endpoint("http://127.0.0.1:9/v1", "m").write(["a"], [0])
    assert KEY not in str(caught.value)


def test_the_key_goes_to_no_other_address(server: Server) -> None:
    server.replies = [(302, {"Location": f"{server.url}/elsewhere"}, "")]
    with pytest.raises(ModelError, match="status 302"):
        endpoint(server).write(["a"], [0])
    assert server.paths == ["/v1/chat/completions"]


@pytest.mark.parametrize(
    "text", ["<html>", "[]", "{}", '{"choices": []}', '{"choices": [{"message": {"content": 3}}]}']
)
def test_what_is_no_completion_is_refused(server: Server, text: str) -> None:
    server.replies = [(200, {}, text)]
    with pytest.raises(ModelError, match="status 200, and no chat completion") as caught:
        endpoint(server).write(["a"], [0])
    assert "/v1" in caught.value.fix
    assert server.url in caught.value.problem


def test_an_answer_without_words_is_empty(server: Server) -> None:
    server.replies = [(200, {}, completion(None))]
    assert endpoint(server).write(["a"], [0]) == [""]


def test_a_timeout_is_tried_again_then_told(server: Server) -> None:
    server.hold.clear()
    with pytest.raises(ModelError, match=r"no reply within 0\.05 seconds"):
        endpoint(server, timeout=0.05, retries=1).write(["a"], [0])
    server.hold.set()
    for _ in range(2):  # both requests reach the server, however late
        server.arrived.acquire()
    assert len(server.seen) == 2


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(ModelError, match=r"(?s)127\.0\.0\.1:9/v1.*no connection.*server is up"):
        Endpoint("http://127.0.0.1:9/v1", "m", retries=1, first_wait=0.01, timeout=1.0).write(["a"], [0])


@pytest.mark.parametrize("url", ["file:///etc/passwd", "localhost:8000/v1", "http://", "ftp://x/v1"])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="needs an http address"):
        Endpoint(url, "m")


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError, match=r"host.*(?s:.*)password") as caught:
        Endpoint("https://me:hunter2@host/v1", "m")
    assert "hunter2" not in str(caught.value)


def test_editors_by_name() -> None:
    assert load_editor("task") == (None, True)
    assert load_editor("subject") == (None, False)
    warm = Sampling(temperature=1.0)
    made, exact = load_editor("http://localhost:8000/v1#org/model", warm)
    assert (made, exact) == (Endpoint("http://localhost:8000/v1", "org/model", sampling=warm), False)
    made, exact = load_editor("O5", warm, device="cpu")
    assert isinstance(made, ModelEditor)
    assert (made.name, made.sampling, exact) == ("O5", warm, False)
    with pytest.raises(ConfigError, match="must name a model after its address"):
        load_editor("https://api.example.com/v1")
    with pytest.raises(ModelError, match="no short name"):
        load_editor("nobody", device="cpu")


@pytest.mark.parametrize("depth", [1_000, 10_000, 1_000_000])
@pytest.mark.parametrize(("left", "right"), ["[]", ('{"a":', "}")])
def test_json_that_is_nested_without_end_is_refused(left: str, right: str, depth: int, server: Server) -> None:
    server.replies = [(200, {}, left * depth + "1" + right * depth)]
    with pytest.raises(ModelError, match="status 200, and no chat completion"):
        endpoint(server).write(["a"], [0])


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (r"\ud83d\ude00 fine", "\N{GRINNING FACE} fine"),
        (r"half \ud800", "half \N{REPLACEMENT CHARACTER}"),
        (r"\udc00\ud800", "\N{REPLACEMENT CHARACTER}" * 2),
        (r"\ufeffmark", "\ufeffmark"),
        (r"a\u0000b\u001b[31m", "a\x00b\x1b[31m"),
    ],
)
def test_every_text_can_be_written_to_a_file(written: str, text: str, server: Server) -> None:
    server.replies = [(200, {}, completion("X").replace("X", written))]
    [answer] = endpoint(server).write(["a"], [0])
    assert answer == text
    assert answer.encode().decode() == text


def test_what_was_answered_is_kept_where_others_fail(server: Server) -> None:
    one = endpoint(server, retries=0)
    server.replies = [(500, {}, "boom")]
    assert [isinstance(each, Failure) for each in one.try_write(["a"], [0])] == [True]
    server.replies = [(400, {}, "too long"), (200, {}, "<html>"), (302, {"Location": server.url}, "")]
    answers = one.try_write([str(i) for i in range(20)], range(20))
    failures = [each for each in answers if isinstance(each, Failure)]
    assert len(failures) == 3
    assert {each for each in answers if isinstance(each, str)} < {f"echo {i}" for i in range(20)}
    assert all(not each.is_transient for each in failures)


def test_a_key_that_the_server_spells_in_numbers_is_hidden_too(server: Server) -> None:
    spelled = "".join(f"\\u{ord(each):04x}" for each in KEY)
    server.replies = [(200, {}, completion("X").replace("X", f"your key is {spelled}"))]
    assert endpoint(server).write(["a"], [0]) == ["your key is $OPENAI_API_KEY"]
