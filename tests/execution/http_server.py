"""A server in this process that answers HTTP requests as a test says, and a key that it must not see leave."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

KEY = "sk-very-secret"
"""The key of the endpoint; tests put it into OPENAI_API_KEY."""

Reply = tuple[int, dict[str, str], bytes]
"""The status, the headers and the body of an answer."""


class Request(NamedTuple):
    """What a client sends: the method ("GET" or "POST"), the path, the headers, and the JSON body of a POST."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any = None


@contextmanager
def serve(answer: Callable[[Request], Reply]) -> Iterator[str]:
    """Serve on a free port of this machine, each request in its own thread, until the block ends; gives the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send(answer(Request("GET", self.path, dict(self.headers))))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send(answer(Request("POST", self.path, dict(self.headers), body)))

        def send(self, reply: Reply) -> None:
            status, headers, content = reply
            try:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)
            except BrokenPipeError:  # the client did not wait
                pass

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_port}/v1"
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
