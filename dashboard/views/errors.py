"""The page that says what went wrong."""

from dataclasses import dataclass
from http import HTTPStatus

from dashboard.views.common import Frame

# For the sentences that are written for those who call the API.
SENTENCES = {
    403: (
        "The token that you are logged in with may look, but not do this. Whoever runs the service makes one "
        "that may: ganvas token create --scope user --name you."
    ),
    404: "There is nothing at this address. It may have been mistyped, or the run was removed.",
    405: "This address does not answer this kind of request.",
    500: "Something went wrong in the service; its log has the details.",
}


@dataclass(frozen=True)
class ErrorPage:
    """One error: what it is, in a sentence, and the status."""

    title: str
    frame: Frame
    status: int
    message: str


def build_error_page(status: int, message: str, frame: Frame, *, is_usual: bool = True) -> ErrorPage:
    """Return the page of one error; the sentence of its status, if there is one, stands for a usual message."""
    phrase = HTTPStatus(status).phrase
    return ErrorPage(
        title=phrase[0] + phrase[1:].lower(),
        frame=frame,
        status=status,
        message=(SENTENCES.get(status) if is_usual else None) or message or phrase,
    )
