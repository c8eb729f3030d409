"""The page on which a person gives a token."""

from dataclasses import dataclass

from dashboard.views.common import Frame


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
