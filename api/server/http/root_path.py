"""Middleware of a service behind a proxy: reads what the proxy says, and keeps answers below its path prefix.

Everything inside knows paths without the prefix. Redirects and cookies get it here; pages write their links with
it (`dashboard.web.rendering`), and scripts read it from the page.
"""

from http.cookies import SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.server.access.proxies import ROOT, ProxyReader
from api.server.settings import Settings


class RootPathMiddleware:
    """ASGI middleware: the outermost one, so that all others see the client and the path that are meant."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._proxies = ProxyReader(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its path, and the answer with its prefix."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._proxies.read(scope)
        root = scope[ROOT]
        if not root:
            await self._app(scope, receive, send)
            return
        host = Headers(scope=scope).get("host", "")

        async def send_below_root(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    (name, _move_header(name.lower(), value, root, host)) for name, value in message["headers"]
                ]
            await send(message)

        await self._app(scope, receive, send_below_root)


def move_below(root: str, address: str) -> str:
    """Return an address of this service below the prefix; any other address unchanged."""
    return root + address if address.startswith("/") and not address.startswith(("//", "/\\")) else address


def _move_header(name: bytes, value: bytes, root: str, host: str) -> bytes:
    if name == b"location":
        return move_below(root, _without_origin(value.decode("latin-1"), host)).encode("latin-1")
    if name == b"set-cookie":
        return _move_cookies(value.decode("latin-1"), root).encode("latin-1")
    return value


def _without_origin(address: str, host: str) -> str:
    """Return the path and query of an address of this very host: routing redirects to whole addresses."""
    parts = urlsplit(address)
    if not host or parts.netloc.lower() != host.lower():
        return address
    return parts._replace(scheme="", netloc="", path=parts.path or "/").geturl()


def _move_cookies(header: str, root: str) -> str:
    cookies = SimpleCookie(header)
    for cookie in cookies.values():
        cookie["path"] = root
    return ", ".join(cookie.OutputString() for cookie in cookies.values())
