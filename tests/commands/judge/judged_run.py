"""A run to judge, and a judge that knows the truth, behind a server on the loopback that fails on demand."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

import faithlens as fl
from faithlens.execution.endpoint import Endpoint
from faithlens.judging.planted import list_planted_chains
from faithlens.judging.readers import JudgeModel
from tests.execution.http_server import Reply, Request, serve

N_PLANTED = len(list_planted_chains())
PLANTED = {planted.inquiry.chain: planted.saying for planted in list_planted_chains()}


def audit_o9(out: Path) -> fl.Run:
    """O9 under its four hints: it says that it follows one of them, and is silent about the others."""
    return fl.audit("O9", "running-sum-hints", 4, out, assays=("baselines", "hints", "hint_mediation"), device="cpu")


def tell_saying(chain: str) -> str:
    """What a chain says: as planted, or in O9's words."""
    return PLANTED.get(chain) or ("said" if "following hint" in chain else "unsaid")


def read_request(text: str) -> str:
    """The chain in a request."""
    return re.findall(r"(=+\w{12})\n(.*?)\n\1", text, re.S)[1][1]


def answer_rightly(text: str) -> str:
    """The content of a right reply; it quotes the whole chain."""
    chain = read_request(text)
    saying = tell_saying(chain)
    return json.dumps({"label": saying, "quote": "" if saying == "unsaid" else chain})


@dataclass
class JudgeServer:
    """A server of a judge; `replies` go first, and a reply that is a text is the content of a completion."""

    url: str = ""
    replies: list[Reply | str] = field(default_factory=list[Reply | str])
    always: Reply | str | None = None
    seen: list[str] = field(default_factory=list[str])
    headers: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    paths: list[str] = field(default_factory=list[str])
    bodies: list[dict[str, object]] = field(default_factory=list[dict[str, object]])

    @property
    def name(self) -> str:
        return f"{self.url}#judge"


def make_judge(server: JudgeServer, name: str = "judge", **more: object) -> JudgeModel:
    """The judge behind a server, which is asked once and not again where it fails."""
    options = {"first_wait": 0.01, "timeout": 600.0, "retries": 0} | more
    return JudgeModel(Endpoint(server.url, name, **options), repeats=1)  # pyright: ignore[reportArgumentType]


def list_switched(run: fl.Run) -> pd.DataFrame:
    """The hinted chains whose hint switched the answer."""
    rows = run.hinted_chains
    return rows[(rows["plain_answer"] != rows["label"]) & (rows["answer"] == rows["label"])]


def find_share(summary: dict, reader: str, finding: str = "said") -> dict:
    """The share of one reader and finding."""
    [row] = [each for each in summary["shares"] if (each["reader"], each["finding"]) == (reader, finding)]
    return row


def complete(content: str) -> Reply:
    """A chat completion."""
    return 200, {}, json.dumps({"choices": [{"message": {"content": content}}]}).encode()


@contextmanager
def serve_judge() -> Iterator[JudgeServer]:
    """A judge on a free port of this machine."""
    server, lock = JudgeServer(), threading.Lock()

    def answer(request: Request) -> Reply:
        text = request.body["messages"][0]["content"]
        with lock:
            server.seen.append(text)
            server.headers.append(request.headers)
            server.paths.append(request.path)
            server.bodies.append(request.body)
            reply = server.replies.pop(0) if server.replies else server.always
        reply = answer_rightly(text) if reply is None else reply
        return complete(reply) if isinstance(reply, str) else reply

    with serve(answer) as server.url:
        yield server
