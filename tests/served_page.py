"""The demo page, served, and a visitor of it who is no browser."""

import contextlib
import json
import os
import secrets
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

NAMES = ["<img src=x onerror=document.title='owned'>", "**two**", "3", "四"]
FILE_DATA = {"_type": "gradio.FileData"}
PATIENCE_SECONDS = 60


@contextlib.contextmanager
def served(start_script, run: Path, kept: Path) -> Iterator[str]:
    """Serve the page of a run, temporary files below `kept`; yields its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = start_script(
        "tools/demo_page.py",
        "--run",
        run,
        "--port",
        port,
        "--most-megabytes",
        "0.2",
        env={**os.environ, "TMPDIR": str(kept)},
    )
    line = next((line for line in process.stdout if line.startswith("page ")), "")
    assert line, process.stderr.read()
    yield line.split()[1]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out.endswith("stopped\n") and "Traceback" not in err
    assert list(kept.glob("finegrain-demo-*")) == []


class Visitor:
    """Sends requests made by hand.

    Args:
        page: the address.
    """

    def __init__(self, page: str):
        self.page = page
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def request(self, path: str, content: bytes | None = None, **headers) -> tuple[int, bytes]:
        """Status and content of an answer; `Content_Type` stands for `Content-Type`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.page + path, content, named)
        try:
            with self._opener.open(request, timeout=PATIENCE_SECONDS) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def upload(self, content: bytes, field: str = "files", **headers) -> tuple[int, bytes]:
        """Upload a file as a form does."""
        about = f'form-data; name="{field}"; filename="photo.jpg"'
        body = f"--b\r\nContent-Disposition: {about}\r\n\r\n".encode() + content + b"\r\n--b--\r\n"
        return self.request(
            "gradio_api/upload", body, Content_Type="multipart/form-data; boundary=b", **headers
        )

    def ask(self, *given, function: int = 0) -> tuple[int, str]:
        """Status and text of what a function of the page answers to these inputs."""
        session = secrets.token_hex(4)
        question = {"data": given, "fn_index": function, "session_hash": session}
        status, content = self.request(
            "gradio_api/queue/join", json.dumps(question).encode(), Content_Type="application/json"
        )
        if status != 200:
            return status, content.decode()
        events = f"{self.page}gradio_api/queue/data?session_hash={session}"
        with self._opener.open(events, timeout=PATIENCE_SECONDS) as lines:
            for line in lines:
                message = json.loads(line[5:]) if line.startswith(b"data:") else {}
                if message.get("msg") == "process_completed":
                    return (200 if message["success"] else 500), json.dumps(message["output"])
        raise AssertionError("no answer")
