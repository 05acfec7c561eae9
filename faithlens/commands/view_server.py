"""The server of `faithlens view`: the page about some runs, for this machine only.

1. It answers on the loopback address only, and only under a path that begins with a random token.
2. The page is made when it is asked for and the runs have changed since. It asks for the version of the folders every
   two seconds, and loads itself again when it has changed.
3. A run that cannot be read (removed, damaged, being moved) gives a page that says so and tries again; the server goes
   on. An open page stays as it is, with a note.
4. A browser may leave in the middle of an answer. Nothing is wrong then, so nothing is printed.
"""

import secrets
import sys
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from traceback import print_exc
from typing import Any, cast

from faithlens.commands.view import find_runs, read_page, read_version
from faithlens.errors import FaithlensError, describe_foreign
from faithlens.report.page import Served, make_problem_page
from faithlens.store.places import Place

LOOPBACK = "127.0.0.1"
PATIENCE = 60.0
"""Seconds that a connection may be silent."""


class ViewServer(ThreadingHTTPServer):
    """Serves the page about some runs to this machine, under a path that only its user knows.

    Args:
        paths: folders of runs and sweeps; they are looked at again for each page, so that new audits appear.
        port: 0 for any free port.
    """

    daemon_threads = True

    def __init__(self, paths: Sequence[Place], port: int = 0) -> None:
        super().__init__((LOOPBACK, port), _ViewHandler)
        self.paths = tuple(paths)
        self.token = secrets.token_urlsafe(24)
        self._lock, self._version, self._page = Lock(), "", ""

    @property
    def address(self) -> str:
        """The address of the page."""
        return f"http://{LOOPBACK}:{self.server_port}/{self.token}/"

    def read_version(self) -> str:
        """The version of the runs as they are now."""
        return read_version(find_runs(self.paths))

    def read_page(self) -> str:
        """The page of this version, made once."""
        with self._lock:
            version = self.read_version()
            if version != self._version:
                self._page = read_page(find_runs(self.paths), Served(f"/{self.token}/version", version))
                self._version = version
            return self._page

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the traceback of an error, but not of a browser that left."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _ViewHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE

    def do_GET(self) -> None:
        """The page, or its version; nothing without the token, or for another host's name (DNS rebinding)."""
        server = cast(ViewServer, self.server)
        hosts = {f"{name}:{server.server_port}" for name in (LOOPBACK, "localhost")}
        token, _, rest = self.path.removeprefix("/").partition("/")
        is_known = secrets.compare_digest(token.encode("utf-8", "replace"), server.token.encode())
        if not is_known or self.headers.get("Host") not in hosts:
            self._answer(403, "Open the address that faithlens printed.\n", "text/plain")
        elif rest == "version":
            status, text = _read(server.read_version)
            self._answer(status, text, "text/plain")
        elif rest == "":
            status, text = _read(server.read_page)
            self._answer(status, text if status == 200 else make_problem_page(text), "text/html")
        else:
            self._answer(404, "There is nothing here.\n", "text/plain")

    def _answer(self, status: int, text: str, kind: str) -> None:
        content = text.encode("utf-8", "replace")
        self.send_response(status)
        for name, value in {
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(content)),
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: the terminal shows the address, and requests say nothing new."""


def _read(make: Callable[[], str]) -> tuple[int, str]:
    """The status 200 and what `make` gives; 503 and the reason where the runs cannot be read now."""
    try:
        return 200, make()
    except FaithlensError as error:
        return 503, str(error)
    except OSError as error:
        return 503, f"The runs cannot be read: {describe_foreign(error)}"
    except Exception as error:  # noqa: BLE001 - a fault of faithlens: the user sees it, and the server goes on
        print_exc()
        return 503, f"The page cannot be made: {describe_foreign(error)}\nThe terminal shows where it went wrong."
