"""Errors of the service: each has a stable code, an HTTP status and a sentence that says what to do.

One handler renders them as JSON, one as a page, and the client turns the code back into the same class. No code
parses messages.
"""

from datetime import datetime
from typing import Any, ClassVar

from ganlib.errors import Problem


class ServiceError(Exception):
    """Base of every expected error of the service."""

    code: ClassVar[str] = "service_error"
    status: ClassVar[int] = 500
    message: ClassVar[str] = "Something went wrong in the service; its log has the details."

    def __init__(self, message: str | None = None, **details: Any) -> None:
        self.text = message or self.message
        self.details = details
        super().__init__(self.text)


class SpecRefused(ServiceError):
    """The submitted spec is not valid; details hold `problems`, one for each field."""

    code, status = "spec_invalid", 422
    message = "The spec is not valid; nothing was stored."

    @classmethod
    def from_problems(cls, problems: list[Problem]) -> "SpecRefused":
        """Convert ganlib's problems."""
        rows = [{"field": p.field, "given": p.given, "message": p.message} for p in problems]
        return cls("; ".join(str(p) for p in problems)[:2000], problems=rows)


class RequestInvalid(ServiceError):
    """The request's body, query or headers are malformed; details hold `problems`."""

    code, status = "request_invalid", 422
    message = "The request is not valid."


class BodyTooLarge(ServiceError):
    """The body is larger than this route takes."""

    code, status = "body_too_large", 413
    message = "The body is too large for this route."


class JobNotFound(ServiceError):
    """No job has this id or name; details hold `job_id`, what was asked for, and `near`, a name nearly so."""

    code, status = "job_not_found", 404
    message = "There is no such job; `ganvas list` shows those that there are."

    def __init__(self, message: str | None = None, **details: Any) -> None:
        given, near = details.get("job_id"), details.get("near")
        if message is None and given:
            advice = f"did you mean {near}?" if near else "`ganvas list` shows those that there are."
            kind = "neither an id, nor the beginning of one, nor a name"
            message = f"There is no such job: {given!r} is {kind}; {advice}"
        super().__init__(message, **details)


class JobAmbiguous(ServiceError):
    """Several jobs have the name that was given, or ids that begin so; details hold `jobs`, the newest ones."""

    code, status = "job_ambiguous", 409
    message = "Several jobs have this name, or ids that begin like this; give the id of the one that you mean."

    @classmethod
    def of(cls, text: str, jobs: list[tuple[str, str, datetime]], count: int) -> "JobAmbiguous":
        """Name the jobs, as (id, name, created at), and how many there are."""
        shown = ", ".join(f"{job_id} ({name}, {made:%Y-%m-%d %H:%M} UTC)" for job_id, name, made in jobs)
        more = f" and {count - len(jobs):,} more" if count > len(jobs) else ""
        return cls(
            f"{count:,} jobs are named {text}, or have ids that begin so: {shown}{more}. "
            "Give the id of the one you mean, or more of it.",
            jobs=[
                {"id": job_id, "name": name, "created_at": made.isoformat().replace("+00:00", "Z")}
                for job_id, name, made in jobs
            ],
        )


class ArtifactNotFound(ServiceError):
    """No stored file has this sha256."""

    code, status = "artifact_not_found", 404
    message = "There is no such artifact."


class DiffNotFound(ServiceError):
    """No uncommitted changes are recorded, or there is no such attempt."""

    code, status = "diff_not_found", 404
    message = "No uncommitted changes are recorded for this attempt."


class RouteNotFound(ServiceError):
    """No route has this address."""

    code, status = "not_found", 404
    message = "There is nothing at this address; /docs lists the routes."


class MethodRefused(ServiceError):
    """The address exists but not for this method."""

    code, status = "method_not_allowed", 405
    message = "This address does not answer this method."


class AttemptFenced(ServiceError):
    """The writer's attempt no longer holds the job; its trainer must stop."""

    code, status = "attempt_fenced", 409
    message = "This attempt no longer holds the job; stop its trainer."


class SequenceConflict(ServiceError):
    """Event numbers do not continue the stored ones, or one repeats with other content; details: `next_seq`."""

    code, status = "sequence_conflict", 409
    message = "These event numbers do not continue the stored ones."


class ArtifactMissing(ServiceError):
    """An event refers to a file that was not uploaded; upload the file before the event."""

    code, status = "artifact_missing", 409
    message = "An event refers to a file that is not stored; upload the file first."


class ArtifactRefused(ServiceError):
    """The uploaded file is not valid: wrong sha256, not a PNG, or too many pixels."""

    code, status = "artifact_refused", 422
    message = "The uploaded file is not valid."


class JobStateConflict(ServiceError):
    """The job's state does not allow this."""

    code, status = "job_state_conflict", 409
    message = "The job's state does not allow this."


class IdempotencyConflict(ServiceError):
    """The same Idempotency-Key came with another spec."""

    code, status = "idempotency_conflict", 409
    message = "This Idempotency-Key was used with another spec, or to retry another job; use a new key."


class NotAuthenticated(ServiceError):
    """The request needs a valid token."""

    code, status = "not_authenticated", 401
    message = "This request needs a token: send `Authorization: Bearer …` (GANVAS_TOKEN)."


class NotAllowed(ServiceError):
    """The token is valid but lacks the scope."""

    code, status = "not_allowed", 403
    message = "This token does not allow this; make one that does with `ganvas token create --scope …`."


class TooManyRequests(ServiceError):
    """Too many of these requests in a short time; details hold `retry_after_seconds`."""

    code, status = "too_many_requests", 429
    message = "Too many requests; wait a moment."


class TokenNotFound(ServiceError):
    """No token has this id."""

    code, status = "token_not_found", 404
    message = "There is no such token; `ganvas token list` shows the existing ones."


class ShareNotFound(ServiceError):
    """No live link has this address, or its page has nothing there."""

    code, status = "share_not_found", 404
    message = (
        "This link shows nothing: it has expired, was withdrawn, or is not complete. Ask the person who sent it."
    )


class OriginRefused(ServiceError):
    """The request comes from another site's page, or for a host that is not allowed."""

    code, status = "origin_refused", 403
    message = "Requests from other sites are refused."


class StorageFull(ServiceError):
    """The disk is full; reading still works."""

    code, status = "storage_full", 507
    message = "The service's disk is full; free some space. Reading still works."


class FigureRefused(ServiceError):
    """The figure cannot be drawn: no grid, no such metric, or no value that its axes can show."""

    code, status = "figure_refused", 422
    message = "This figure cannot be drawn."


class FigureTooLarge(ServiceError):
    """The figure or movie is larger than the limit."""

    code, status = "figure_too_large", 422
    message = "This figure would be too large; choose fewer runs, iterations or cells."


class FiguresNotInstalled(ServiceError):
    """The service was installed without the packages for figures and movies."""

    code, status = "figures_not_installed", 501
    message = "This service was installed without figures; run on its machine: pip install 'ganvas[figures]'."


class ServiceUnavailable(ServiceError):
    """The database cannot be reached just now."""

    code, status = "service_unavailable", 503
    message = "The service cannot reach its database; try again shortly."


ERRORS: dict[str, type[ServiceError]] = {
    error.code: error
    for error in (
        ServiceError, SpecRefused, RequestInvalid, BodyTooLarge, JobNotFound, JobAmbiguous, ArtifactNotFound,
        DiffNotFound, RouteNotFound, MethodRefused, AttemptFenced, SequenceConflict, ArtifactMissing,
        ArtifactRefused, JobStateConflict, IdempotencyConflict, NotAuthenticated, NotAllowed, TooManyRequests,
        TokenNotFound, ShareNotFound, OriginRefused, StorageFull, FigureRefused, FigureTooLarge,
        FiguresNotInstalled, ServiceUnavailable,
    )
}  # fmt: skip
