"""A time limit for a whole HTTP exchange, from the connection to the last byte of the reply.

The time-out of a socket limits each wait for the next bytes, so a server that sends one byte now and then is never
given up. Here a timer shuts the connection down, whatever it is waiting for: the handshake, a header, or the body.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPSConnection
from typing import Any
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, OpenerDirector, Request, build_opener


class Deadline:
    """Shuts the connections of one exchange down after `seconds`; `is_over` says whether it did."""

    def __init__(self, seconds: float) -> None:
        self.is_over = False
        self._connections: list[HTTPConnection] = []
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let the time run during the block."""
        self._timer.start()
        try:
            yield
        finally:
            self._timer.cancel()

    def watch(self, connection: HTTPConnection) -> None:
        """Shut this connection down when the time is over; call it before and after it connects."""
        with self._lock:
            self._connections.append(connection)
            if connection.sock is not None:  # urllib takes it from the connection once the headers are read
                self._sockets.append(connection.sock)
            if self.is_over:
                self._shut_down()

    def _end(self) -> None:
        with self._lock:
            self.is_over = True
            self._shut_down()

    def _shut_down(self) -> None:
        for each in [*self._sockets, *(connection.sock for connection in self._connections)]:
            if each is not None:
                with suppress(OSError):  # it has been closed
                    # the method of the plain socket: the one for TLS is not meant for another thread
                    socket.socket.shutdown(each, socket.SHUT_RDWR)


class _NoRedirects(HTTPRedirectHandler):
    """Reports a redirect as an error: urllib would send the key to another host."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """Follow no redirect."""
        return None


def make_opener(deadline: Deadline) -> OpenerDirector:
    """An opener of urllib that follows no redirects, and whose exchange ends with the deadline."""

    class PlainConnection(HTTPConnection):
        def connect(self) -> None:
            deadline.watch(self)
            super().connect()
            deadline.watch(self)

    class EncryptedConnection(HTTPSConnection):
        def connect(self) -> None:
            deadline.watch(self)
            super().connect()
            deadline.watch(self)

    class PlainHandler(HTTPHandler):
        def http_open(self, req: Request) -> Any:
            return self.do_open(PlainConnection, req)

    class EncryptedHandler(HTTPSHandler):
        def https_open(self, req: Request) -> Any:
            return self.do_open(EncryptedConnection, req)

    return build_opener(_NoRedirects, PlainHandler, EncryptedHandler)
