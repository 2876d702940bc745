"""Only the page itself may ask, and only for what it needs."""

from finegrain.demo.refusal import App, Message, Receive, Send, refuse

UPLOAD, JOIN = "/gradio_api/upload", "/gradio_api/queue/join"
# All that the page posts to. Gradio has more, such as another way to leave files on this machine.
POSTED_TO = (UPLOAD, JOIN, "/gradio_api/cancel", "/gradio_api/reset")
READING = ("GET", "HEAD", "OPTIONS")


class OwnRequests:
    """ASGI middleware that refuses what other sites and programs ask of the page's server.

    A browser lets every site post to this machine, and tells by the `Origin` which one it was.

    Args:
        app: what it stands before.
    """

    def __init__(self, app: App):
        self.app = app

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
