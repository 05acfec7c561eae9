"""Endpoints that refuse, break off, never end, or answer something else."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from faithlens.execution.endpoint import Endpoint
from tests.execution.http_server import Reply, Request, serve
from tests.hostile.case import Case


def use_server(status: int, headers: dict[str, str], body: bytes) -> Case:
    """An endpoint that answers every request in the same way."""

    def answer(request: Request) -> Reply:
        return status, headers, body

    def use(folder: Path) -> object:
        with serve(answer) as url:
            return Endpoint(url, "m", timeout=60.0, retries=1, first_wait=0.01).write(["a"], [0])

    return use


@contextmanager
def listen(reply: bytes, piece: bytes, pause: float) -> Iterator[str]:
    """A server that answers one request with `reply`, and then with one `piece` after the other."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        connection, _ = listener.accept()
        with connection:
            request = b""
            while not request.endswith(b"}"):
                request += connection.recv(1 << 16)
            try:
                connection.sendall(reply)
                while piece:
                    connection.sendall(piece)
                    time.sleep(pause)
            except OSError:  # the client went away
                return

    thread = Thread(target=run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    listener.close()
    thread.join()


def use_stream(reply: bytes, piece: bytes = b"", pause: float = 0.0, timeout: float = 60.0) -> Case:
    def use(folder: Path) -> object:
        with listen(reply, piece, pause) as url:
            return Endpoint(url, "m", timeout=timeout, retries=0).write(["a"], [0])

    return use


def close_port(folder: Path) -> object:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    return Endpoint(f"http://127.0.0.1:{port}/v1", "m", timeout=5.0, retries=0).write(["a"], [0])


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
ENDPOINTS: dict[str, Case] = {
    "nobody listens": close_port,
    "500 again and again": use_server(500, {}, b"broken \x1b[2J"),
    "429 with Retry-After": use_server(429, {"Retry-After": "0"}, b"slow down"),
    "401": use_server(401, {}, b"no"),
    "a redirect": use_server(302, {"Location": "http://127.0.0.1:1/"}, b""),
    "HTML in place of JSON": use_server(200, {}, b"<html>hello</html>"),
    "JSON without an answer": use_server(200, {}, b"{}"),
    "JSON nested 10,000 deep": use_server(200, {}, b"[" * 10_000 + b"]" * 10_000),
    "the key in the answer": use_server(200, {}, b'{"heard": "sk-secret-key"}'),
    "half an answer": use_stream(HEAD + b"Content-Length: 100\r\n\r\n{"),
    "a body without end": use_stream(HEAD + b"\r\n", b" " * (1 << 20)),
    "a byte now and then": use_stream(HEAD + b"Content-Length: 9999\r\n\r\n", b" ", pause=0.05, timeout=0.5),
    "no HTTP": use_stream(b"garbage"),
    "a password in the address": lambda folder: Endpoint("http://user:SECRET@127.0.0.1/v1", "m"),
}
