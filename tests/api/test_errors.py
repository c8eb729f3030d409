"""The service's errors: each is known by its code, wherever it is made."""

from api.errors import ERRORS, ServiceError


def find_below(kind: type[ServiceError]) -> set[type[ServiceError]]:
    """Every error of api.errors below this one."""
    own = [each for each in kind.__subclasses__() if each.__module__ == kind.__module__]
    return {kind}.union(*map(find_below, own))


def test_every_error_is_known_by_a_code_of_its_own() -> None:
    errors = find_below(ServiceError)
    assert set(ERRORS.values()) == errors
    assert {error.code for error in errors} == set(ERRORS)
