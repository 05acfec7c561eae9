"""The endpoint against servers that send slowly, without end, or something else than HTTP."""

import select
import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from faithlens.errors import ModelError
from faithlens.execution.endpoint import LARGEST_REPLY, Endpoint


@pytest.fixture
def raw_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    """A server that reads a request and then lets a function write to the connection: its address."""
    monkeypatch.setenv("NO_PROXY", "*")
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def serve(reply: Callable[[socket.socket], None]) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # the test is over
                return
            with connection, suppress(OSError):  # the client went away
                request = b""
                while not request.endswith(b"}"):
                    request += connection.recv(1 << 16)
                reply(connection)

    def start(reply: Callable[[socket.socket], None]) -> str:
        threads.append(threading.Thread(target=serve, args=[reply], daemon=True))
        threads[-1].start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/v1"

    yield start
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for thread in threads:
        thread.join()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def send_forever(connection: socket.socket, start: bytes, piece: bytes) -> None:
    """Send `start`, then one `piece` after the other, until the client goes away."""
    connection.sendall(start)
    while True:
        connection.sendall(piece)
        if len(piece) < 10 and select.select([connection], [], [], 0.01)[0]:  # a reset, or the end of the client's side
            return


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (HEAD + b"Content-Length: 1000000000\r\n\r\n", b" "),
        (HEAD + b"\r\n", b" "),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (HEAD + b"X-Slow: ", b"y"),
        (b"", b"H"),
        (b"HTTP/1.1 500 Server Error\r\n\r\n", b" "),
    ],
    ids=["body with a length", "body", "chunks", "header", "status line", "body of an error"],
)
def test_a_server_that_sends_a_byte_now_and_then_is_given_up(
    start: bytes, piece: bytes, raw_server: Callable[..., str]
) -> None:
    url = raw_server(lambda connection: send_forever(connection, start, piece))
    with pytest.raises(ModelError, match=r"no reply within 0\.3 seconds"):
        Endpoint(url, "m", timeout=0.3, retries=0).write(["a"], [0])


@pytest.mark.parametrize(
    "start",
    [HEAD + b"Content-Length: 3000000000\r\n\r\n", HEAD + b"\r\n"],
    ids=["with a length", "without a length"],
)
def test_a_reply_without_end_is_refused_before_it_is_read(start: bytes, raw_server: Callable[..., str]) -> None:
    url = raw_server(lambda connection: send_forever(connection, start, b" " * (1 << 20)))
    tracemalloc.start()
    with pytest.raises(ModelError, match="the reply has more than 16,777,216 bytes"):
        Endpoint(url, "m", timeout=600.0, retries=3).write(["a"], [0])
    assert tracemalloc.get_traced_memory()[1] < 4 * LARGEST_REPLY
    tracemalloc.stop()


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"\r\n\r\n",
        b"garbage",
        b"HTTP/1.1 abc\r\n\r\n",
        HEAD + b"Content-Length: 100\r\n\r\n{",
        HEAD + b"Content-Length: -1\r\n\r\n{}",
        HEAD + b"Content-Length: x\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"X: " + b"y" * 100_000,
        HEAD + b"X: y\r\n" * 1000,
        HEAD + b"\r\n\xff\xfe\x00",
    ],
)
def test_what_is_no_http_is_our_error(reply: bytes, raw_server: Callable[..., str]) -> None:
    url = raw_server(lambda connection: connection.sendall(reply))
    with pytest.raises(ModelError, match="gave no answer"):
        Endpoint(url, "m", timeout=60.0, retries=1, first_wait=0.01).write(["a"], [0])
