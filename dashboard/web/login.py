"""Logging in and out: a token is given once, the browser then shows a cookie that only this service can read."""

from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api.errors import NotAuthenticated, TooManyRequests
from api.server.access import tokens
from api.server.access.authenticator import LOGIN_COOKIE
from api.server.access.scopes import needs
from api.server.access.tokens import LOGIN_SECONDS, hash_token
from api.server.http.dependencies import ServicesDep
from api.server.services import Services
from dashboard.web.layout import Frame
from dashboard.web.rendering import Renderer
from dashboard.web.requests import FormFields, read_frame, read_way_back


@dataclass(frozen=True)
class LoginPage:
    """A field for the token, why the last one was refused, and the address to go on to."""

    title: str
    frame: Frame
    problem: str
    back: str
    is_closed: bool


def build_login_page(back: str, frame: Frame, problem: str = "", *, is_closed: bool = True) -> LoginPage:
    """Return the page; is_closed: whether this service wants tokens at all."""
    return LoginPage(title="Log in", frame=frame, problem=problem, back=back, is_closed=is_closed)


LOGIN_PATH = "/login"


def build_login_router(renderer: Renderer) -> APIRouter:
    """Return the routes of the login page, and of logging out."""
    router = APIRouter(include_in_schema=False)

    @router.get(LOGIN_PATH, dependencies=needs("open"))
    def show_login(request: Request, services: ServicesDep) -> HTMLResponse:
        """Show the page."""
        back = read_way_back(request.query_params.get("back", "/"))
        page = build_login_page(back, read_frame(request), is_closed=services.access.is_closed())
        return renderer.render_page(request, "login.html", page)

    @router.post(LOGIN_PATH, dependencies=needs("open"))
    def log_in(request: Request, fields: FormFields, services: ServicesDep) -> Response:
        """Check the token, set the cookie and go on; a wrong one is told on the page."""
        back = read_way_back(fields.get("back", "/"))
        try:
            secret = _log_in(services, fields.get("token", "").strip(), _address(request))
        except (NotAuthenticated, TooManyRequests) as error:
            page = build_login_page(back, read_frame(request), error.text)
            return renderer.render_page(request, "login.html", page, error.status)
        response = RedirectResponse(back, 303)
        is_secure = request.url.scheme == "https"
        response.set_cookie(
            LOGIN_COOKIE, secret, max_age=int(LOGIN_SECONDS), httponly=True, samesite="lax", secure=is_secure
        )
        return response

    @router.post("/logout", dependencies=needs("read"))
    def log_out(request: Request, services: ServicesDep) -> Response:
        """End the login and forget the cookie."""
        secret = request.cookies.get(LOGIN_COOKIE)
        if secret:
            with services.database.write() as session:
                tokens.delete_login(session, hash_token(secret))
            services.access.forget()
        response = RedirectResponse(LOGIN_PATH, 303)
        response.delete_cookie(LOGIN_COOKIE)
        return response

    return router


def _log_in(services: Services, token: str, address: str) -> str:
    services.limits.check_login(address)
    try:
        token_sha256 = services.access.check_login(token)
    except NotAuthenticated:
        services.limits.note_failed_login(address)
        raise
    with services.database.write() as session:
        return tokens.insert_login(session, token_sha256)


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
