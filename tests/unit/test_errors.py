"""The error tree and its wire forms."""

import pytest

from osler import errors


def tree(root: type[errors.OslerError]) -> list[type[errors.OslerError]]:
    """Return a class and those of its module that derive from it; an edge may have its own words for one of them."""
    children = [child for child in root.__subclasses__() if child.__module__ == errors.__name__]
    return [root, *(e for child in children for e in tree(child))]


@pytest.mark.parametrize(
    ("error", "retryable", "dimse", "hl7", "http", "issue"),
    [
        (errors.Malformed, False, 0xC000, "AE", 400, "invalid"),
        (errors.UnsupportedKind, False, 0x0122, "AR", 422, "not-supported"),
        (errors.DeidentificationRefused, False, 0xC000, "AE", 422, "business-rule"),
        (errors.AccessDenied, False, 0x0124, "AR", 403, "forbidden"),
        (errors.Unauthenticated, False, 0x0124, "AR", 401, "login"),
        (errors.NotFound, False, 0x0112, "AE", 404, "not-found"),
        (errors.PeerUnavailable, True, 0xA700, "AE", 503, "transient"),
        (errors.StorageBusy, True, 0xA700, "AE", 503, "transient"),
        (errors.StorageFull, True, 0xA700, "AE", 507, "no-store"),
        (errors.ContractViolation, False, 0x0110, "AE", 500, "exception"),
        (errors.PluginTimeout, False, 0x0110, "AE", 500, "timeout"),
        (errors.IntegrityError, False, 0x0110, "AE", 500, "exception"),
    ],
)
def test_wire_forms(
    error: type[errors.OslerError], retryable: bool, dimse: int, hl7: str, http: int, issue: str
) -> None:
    assert (error.retryable, error.dimse_status, error.hl7_ack, error.http_status, error.issue_code) == (
        retryable,
        dimse,
        hl7,
        http,
        issue,
    )


@pytest.mark.parametrize("error", tree(errors.OslerError), ids=lambda e: e.__name__)
def test_every_class_is_documented_and_drawn_in_the_tree(error: type[errors.OslerError]) -> None:
    assert error.__doc__
    assert error.__name__ in (errors.__doc__ or "")


def test_only_what_is_transient_is_retried() -> None:
    assert {e for e in tree(errors.OslerError) if e.retryable} == set(tree(errors.Transient))
