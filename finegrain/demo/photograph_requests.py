"""Only photographs are taken, and only photographs that were uploaded are looked at."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request

from finegrain.decode import UnreadableImage, open_rgb
from finegrain.demo.gate import JOIN, UPLOAD, App, Message, Receive, Send, refuse
from finegrain.explain.pictures import SHOWN_SIDE

NOT_UPLOADED = "This photograph is not among the uploads; drop it once more."
NO_FILES = "The upload is no form of files."


def uploaded_file(path: Any, folder: Path) -> Path | None:
    """The regular file at whatever a browser names, if it is really in the folder of uploads."""
    try:
        real = Path(path).resolve(strict=True)
    except (OSError, TypeError, ValueError, RuntimeError):
        # Absent, no path at all, or a link to itself.
        return None
    inside = real.is_relative_to(folder.resolve())
    return real if inside and real.is_file() else None


class PhotographRequests:
    """ASGI middleware that looks into the requests which Gradio would act on too readily.

    It keeps whatever is sent; and it reads, or fetches, whatever a request for an answer names.
    """

    def __init__(self, app: App, folder: Path):
        self.app, self.folder = app, folder
        # Decoding may take hundreds of megabytes.
        self._one_at_a_time = asyncio.Lock()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with 400 or 415."""
        looks = {UPLOAD: self._look_at_upload, JOIN: self._look_at_question}
        look = looks.get(scope.get("path", ""))
        if scope["type"] != "http" or scope["method"] != "POST" or look is None:
            return await self.app(scope, receive, send)
        messages: list[Message] = []

        async def recorded() -> Message:
            messages.append(await receive())
            return messages[-1]

        async def replayed() -> Message:
            return messages.pop(0) if messages else await receive()

        try:
            refusal = await look(Request(scope, recorded))
        except ClientDisconnect:
            return None
        if refusal is not None:
            return await refuse(send, *refusal)
        return await self.app(scope, replayed, send)

    async def _look_at_upload(self, request: Request) -> tuple[int, str] | None:
        try:
            async with request.form() as form:
                for name, part in form.multi_items():
                    if name != "files" or not isinstance(part, UploadFile):
                        return 400, NO_FILES
                    async with self._one_at_a_time:
                        reason = await asyncio.to_thread(_why_no_photograph, await part.read())
                    if reason is not None:
                        return 415, f"This file cannot be read: {reason}."
        except (HTTPException, MultiPartException):
            return 400, NO_FILES
        return None

    async def _look_at_question(self, request: Request) -> tuple[int, str] | None:
        try:
            given = (await request.json())["data"]
            paths = [None if one is None else one["path"] for one in given]
        except (ValueError, LookupError, TypeError, RecursionError):
            return 400, NOT_UPLOADED
        if all(path is None or uploaded_file(path, self.folder) for path in paths):
            return None
        return 400, NOT_UPLOADED


def _why_no_photograph(content: bytes) -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "upload")
        path.write_bytes(content)
        try:
            open_rgb(path, at_least=(SHOWN_SIDE, SHOWN_SIDE))
        except UnreadableImage as error:
            return str(error)
    return None
