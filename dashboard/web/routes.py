"""The routes that belong to no run: login and logout, the theme, the REST routes, and the dashboard's files."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from api.errors import NotAuthenticated, RouteNotFound, TooManyRequests
from api.server.access import tokens
from api.server.access.authenticator import LOGIN_COOKIE, read_login
from api.server.access.grants import hash_token
from api.server.access.scopes import needs
from api.server.access.tokens import LOGIN_SECONDS
from api.server.http.dependencies import ServicesDep
from api.server.http.openapi import build_openapi
from api.server.http.query_fields import takes_query
from api.server.services import Services
from dashboard.web.rendering import Site
from dashboard.web.requests import THEME_COOKIE, YEAR_SECONDS, FormFields, read_frame, read_theme, read_way_back
from dashboard.web.sharing import add_shares
from dashboard.web.view import build_docs_page, build_login_page

LOGIN_PATH = "/login"


def build_router(site: Site) -> APIRouter:
    """Return the routes."""
    router = APIRouter(include_in_schema=False)
    _add_login(router, site)
    add_shares(router, site)

    @router.get("/docs", dependencies=needs("read"))
    def show_docs(request: Request) -> HTMLResponse:
        """Show the REST routes."""
        page = build_docs_page(build_openapi(request.app), read_frame(request))
        return site.renderer.render_page(request, "web/docs.html", page)

    @router.post("/theme", dependencies=needs("open"))
    def choose_theme(fields: FormFields) -> Response:
        """Remember the theme in a cookie and go back."""
        response = RedirectResponse(read_way_back(fields.get("back", "/")), 303)
        response.set_cookie(THEME_COOKIE, read_theme(fields.get("theme")), max_age=YEAR_SECONDS, samesite="lax")
        return response

    @router.get("/favicon.ico", dependencies=needs("open"))
    def read_favicon() -> Response:
        """Serve the icon that a browser asks for when it shows a file or JSON."""
        return RedirectResponse(site.static.url("static/favicon.svg"), 307)

    @router.get("/static/{digest}/{name:path}", dependencies=needs("open"))
    def read_static(digest: str, name: str, request: Request) -> Response:
        """Serve one of the dashboard's own files."""
        response = site.static.find_response(request, digest, name)
        if response is None:
            raise RouteNotFound
        return response

    return router


def _add_login(router: APIRouter, site: Site) -> None:
    """Add the login: a token is typed once, then the browser has a cookie that only this service can read."""

    @router.get(LOGIN_PATH, dependencies=needs("open"))
    @takes_query("back")
    def show_login(request: Request, services: ServicesDep) -> HTMLResponse:
        """Show the page."""
        back = read_way_back(request.query_params.get("back", "/"))
        page = build_login_page(back, read_frame(request), is_closed=services.authenticator.requires_tokens())
        return site.renderer.render_page(request, "web/login.html", page)

    @router.post(LOGIN_PATH, dependencies=needs("open"))
    def log_in(request: Request, fields: FormFields, services: ServicesDep) -> Response:
        """Check the token, set the cookie and go back; the page names what is wrong with a token."""
        back = read_way_back(fields.get("back", "/"))
        try:
            secret = _log_in(services, fields.get("token", "").strip(), _address(request))
        except (NotAuthenticated, TooManyRequests) as error:
            page = build_login_page(back, read_frame(request), error.text)
            return site.renderer.render_page(request, "web/login.html", page, error.status)
        response = RedirectResponse(back, 303)
        is_secure = request.url.scheme == "https"
        response.set_cookie(
            LOGIN_COOKIE, secret, max_age=int(LOGIN_SECONDS), httponly=True, samesite="lax", secure=is_secure
        )
        return response

    @router.post("/logout", dependencies=needs("read"))
    def log_out(request: Request, services: ServicesDep) -> Response:
        """End the login and forget the cookie."""
        secret = read_login(request.headers.get("cookie", ""))
        if secret:
            with services.database.write() as session:
                tokens.delete_login(session, hash_token(secret))
            services.authenticator.forget()
        response = RedirectResponse(LOGIN_PATH, 303)
        response.delete_cookie(LOGIN_COOKIE)
        return response


def _log_in(services: Services, token: str, address: str) -> str:
    services.rate_limits.check_login(address)
    try:
        token_sha256 = services.authenticator.check_login(token)
    except NotAuthenticated:
        services.rate_limits.record_failed_login(address)
        raise
    with services.database.write() as session:
        return tokens.insert_login(session, token_sha256)


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
