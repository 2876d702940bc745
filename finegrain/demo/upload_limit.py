"""What a browser may send: so much at once, and so many files kept."""

import contextlib
from pathlib import Path

from finegrain.demo.refusal import App, Message, Receive, Send, refuse


class UploadLimit:
    """ASGI middleware that refuses large requests and sweeps old files.

    Args:
        app: what it stands before.
        folder: where uploads and the page's pictures lie.
        most_bytes: of a request.
        most_files: kept in the folder; the oldest go first.
    """

    def __init__(self, app: App, folder: Path, most_bytes: int, most_files: int):
        self.app = app
        self.folder = folder
        self.most_bytes = most_bytes
        self.most_files = most_files

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with 411 or 413."""
        if scope["type"] == "http" and scope["method"] == "POST":
            length = dict(scope["headers"]).get(b"content-length", b"")
            if not length.isdigit():
                return await refuse(send, 411, "the length of the request is missing")
            if int(length) > self.most_bytes:
                return await refuse(send, 413, f"more than {self.most_bytes} bytes")
            self.sweep()
        return await self.app(scope, receive, send)

    def sweep(self) -> None:
        """Delete the oldest files but `most_files`."""
        files = []
        for path in self.folder.rglob("*"):
            # Another request may have deleted it meanwhile.
            with contextlib.suppress(OSError):
                if path.is_file():
                    files.append((path.stat().st_mtime, path))
        for _, path in sorted(files)[: max(0, len(files) - self.most_files)]:
            path.unlink(missing_ok=True)
