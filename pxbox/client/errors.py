"""What a call can end with, one class per meaning.

Every error of the broker is a problem document (RFC 9457); act on `code`, show `detail`. The codes
are those of `schemas/errors.json`; a code that this version does not know is a PxBoxError still.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pxbox.model.errors import FieldError

MOST_IN_TEXT = 3


class PxBoxError(Exception):
    """Anything that went wrong. `problem` is the broker's document, empty where it sent none.

    `retryable`: the same call, repeated later, may succeed. What the client could repeat by itself,
    it has repeated for as long as its patience lasted.
    """

    def __init__(
        self,
        detail: str,
        *,
        code: str = "",
        problem: Mapping[str, Any] | None = None,
        retryable: bool = False,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.problem: Mapping[str, Any] = problem or {}
        self.retryable = retryable


class AuthError(PxBoxError):
    """No token, one that is not valid here, or one that has expired."""


class Forbidden(PxBoxError):
    """The token lacks the scope that this operation needs."""


class NotFound(PxBoxError):
    """Unknown, or not visible to this token: the two cannot be told apart."""


class Conflict(PxBoxError):
    """Something else is so: the request is closed, someone else has the claim or the address, or
    the idempotency key was used for something else. `problem` says what won."""


class ValidationFailed(PxBoxError):
    """What was sent is wrong; `errors` says where, each by its JSON Pointer. As text it has the
    first of them."""

    def __str__(self) -> str:
        places = [f"{each.pointer or '(whole)'}: {each.message}" for each in self.errors]
        more = f"; and {len(places) - MOST_IN_TEXT} more" if len(places) > MOST_IN_TEXT else ""
        found = "; ".join(places[:MOST_IN_TEXT])
        return f"{self.detail}: {found}{more}" if places else self.detail

    @property
    def errors(self) -> list[FieldError]:
        return [
            FieldError(
                str(found.get("pointer", "")),
                str(found.get("message", "")),
                str(found.get("keyword", "")),
            )
            for found in self.problem.get("errors", ())
        ]


class NotSupported(PxBoxError):
    """Named in the contract, and not built into this broker."""


class Overloaded(PxBoxError):
    """The broker has no room or is not ready; nothing was done, but for `outcome_unknown`."""


class Unreachable(PxBoxError):
    """No answer came. Whether a command took effect is not known; repeating it with the same
    idempotency key is safe."""


class Corrupted(PxBoxError):
    """A file did not arrive as it was sent, or was changed while it was sent. Nothing of it is to
    be used."""


class NoAnswer(PxBoxError):
    """The request was closed without an answer. `reason` is what the one who closed it gave."""

    def __init__(self, detail: str, *, request_id: str, reason: str | None = None) -> None:
        super().__init__(detail, code="no_response")
        self.request_id = request_id
        self.reason = reason


class Declined(NoAnswer):
    """Whoever was asked declined."""


class Cancelled(NoAnswer):
    """The asker cancelled it."""


class Expired(NoAnswer):
    """Its deadline passed."""


_BY_CODE: dict[str, type[PxBoxError]] = {
    "idempotency_key_reused": Conflict,
    "not_supported": NotSupported,
    "unknown_operation": NotSupported,
    "invalid_ack": Conflict,
    "no_response": Conflict,
}
_BY_STATUS: dict[int, type[PxBoxError]] = {
    400: ValidationFailed,
    401: AuthError,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Conflict,
    412: NotSupported,
    413: ValidationFailed,
    415: ValidationFailed,
    422: ValidationFailed,
    423: Overloaded,
    429: Overloaded,
    502: Overloaded,
    503: Overloaded,
    507: Overloaded,
}


def from_problem(problem: Mapping[str, Any]) -> PxBoxError:
    """A problem document as an error."""
    code = str(problem.get("code", ""))
    status = problem.get("status")
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status if isinstance(status, int) else 0)
    return (kind or PxBoxError)(
        str(problem.get("detail") or problem.get("title") or code),
        code=code,
        problem=problem,
        retryable=bool(problem.get("retryable")),
    )
