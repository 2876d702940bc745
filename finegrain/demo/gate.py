"""Only the page itself may ask, only for what it needs, and only so much at once."""

import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

UPLOAD, JOIN = "/gradio_api/upload", "/gradio_api/queue/join"
# All that the page posts to. Gradio has more, such as another way to leave files on this machine.
POSTED_TO = (UPLOAD, JOIN, "/gradio_api/cancel", "/gradio_api/reset")
READING = ("GET", "HEAD", "OPTIONS")


async def refuse(send: Send, status: int, reason: str) -> None:
    """Answer a request with a status and a sentence in plain text, and close the connection."""
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": reason.encode()})


@dataclass
class OwnRequests:
    """ASGI middleware that refuses what other sites and programs ask of the page's server.

    A browser lets every site post to this machine, and tells by the `Origin` which one it was.
    """

    app: App

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with 403 or 404."""
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            origin = headers.get(b"origin")
            if origin is not None and origin != b"http://" + headers.get(b"host", b""):
                return await refuse(send, 403, "requests of other pages are not answered")
            if scope["method"] not in READING and scope["path"] not in POSTED_TO:
                return await refuse(send, 404, "the page has no such thing")
            if "://" in scope["path"]:
                # Gradio would fetch it from there.
                return await refuse(send, 403, "nothing is fetched from elsewhere")
        return await self.app(scope, receive, send)


@dataclass
class UploadLimit:
    """ASGI middleware that refuses long requests and sweeps the oldest of uploads and pictures."""

    app: App
    folder: Path
    most_bytes: int
    most_files: int

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with 411 or 413."""
        if scope["type"] == "http" and scope["method"] == "POST":
            length = dict(scope["headers"]).get(b"content-length", b"")
            if not length.isdigit():
                return await refuse(send, 411, "the length of the request is missing")
            if int(length) > self.most_bytes:
                return await refuse(send, 413, f"more than {self.most_bytes} bytes")
            self._sweep()
        return await self.app(scope, receive, send)

    def _sweep(self) -> None:
        files = []
        for path in self.folder.rglob("*"):
            # Another request may have deleted it meanwhile.
            with contextlib.suppress(OSError):
                if path.is_file():
                    files.append((path.stat().st_mtime, path))
        for _, path in sorted(files)[: max(0, len(files) - self.most_files)]:
            path.unlink(missing_ok=True)
