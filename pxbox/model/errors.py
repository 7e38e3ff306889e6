"""What can be wrong, one class per meaning.

Only the transports know status codes: `schemas/errors.json` maps each `code` to them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong in a document, found by its JSON Pointer (RFC 6901)."""

    pointer: str
    message: str
    keyword: str


class PxError(Exception):
    """An error that its caller can see and act on.

    `detail` is a sentence for a person; `members` are further members of the problem document
    (RFC 9457); `errors` locate what is wrong inside a document.
    """

    code: ClassVar[str]

    def __init__(
        self, detail: str, *, errors: list[FieldError] | None = None, **members: object
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = errors or []
        self.members = {name: value for name, value in members.items() if value is not None}


class MalformedJson(PxError):
    """The bytes are not JSON (RFC 8259), or not UTF-8."""

    code = "malformed_json"


class InvalidRequest(PxError):
    """A document of the wrong shape: unknown or missing members, wrong types."""

    code = "invalid_request"


class TooDeep(PxError):
    """Nested deeper than the broker reads."""

    code = "too_deep"


class UnsupportedText(PxError):
    """Text that cannot be kept: NUL or a lone surrogate (S9)."""

    code = "unsupported_text"


class NumberOutOfRange(PxError):
    """A number beyond 64 bits."""

    code = "number_out_of_range"


class Unauthenticated(PxError):
    """No token, or one that is not valid here."""

    code = "unauthenticated"


class TokenExpired(PxError):
    """The token was valid once."""

    code = "token_expired"


class Forbidden(PxError):
    """The caller lacks the scope that this operation needs."""

    code = "forbidden"


class AnotherClient(PxError):
    """A live connection was to go on with the token of another `sub`."""

    code = "another_client"


class OriginRefused(PxError):
    """A browser's page of an origin that may not connect here."""

    code = "origin_refused"


class NotFound(PxError):
    """Unknown, or not visible to the caller: the two cannot be told apart (X2)."""

    code = "not_found"


class NotAnswered(PxError):
    """The request is still open: there is no response yet."""

    code = "not_answered"


class NoResponse(PxError):
    """The request was closed without an answer: there will be no response."""

    code = "no_response"


class WrongStatus(PxError):
    """The request is past the point where this command makes sense (S6)."""

    code = "wrong_status"


class ClaimedByOther(PxError):
    """Someone else holds the claim."""

    code = "claimed_by_other"

    def __init__(self, holder: str, expires_at: datetime | None) -> None:
        super().__init__(
            "another responder holds the claim; it is free again when they release it or their "
            "lease ends",
            holder=holder,
            claimExpiresAt=expires_at,
        )


class ClaimRequired(PxError):
    """This request must be claimed before it is answered."""

    code = "claim_required"


class StaleCheckpoint(PxError):
    """The flow has gone on: at another revision, or in another worker's hands (F4)."""

    code = "stale_checkpoint"


class FlowParked(PxError):
    """Nobody runs the flow until an operator retries or cancels it (F5)."""

    code = "flow_parked"


class SelfAnswer(PxError):
    """Whoever asked may not answer this request themselves."""

    code = "self_answer"


class AddressTaken(PxError):
    """Another entity has this handle or alias."""

    code = "address_taken"


class PayloadTooLarge(PxError):
    code = "payload_too_large"


class FileRefused(PxError):
    """A file that the request does not admit, or that is not what it was said to be."""

    code = "file_refused"


class FileUrlRefused(PxError):
    """The URL of a file was changed, has expired, or is for something else (X1)."""

    code = "file_url_refused"


class FileExists(PxError):
    """Another content was uploaded as this file before; it never changes."""

    code = "file_exists"


class StorageFull(PxError):
    """No room is left for files; nothing was kept."""

    code = "storage_full"


class UploadLocked(PxError):
    """Another connection is uploading this file."""

    code = "upload_locked"


class OffsetConflict(PxError):
    """The upload stands elsewhere than where it was to go on: `offset` is where."""

    code = "offset_conflict"


class UploadGone(PxError):
    """The upload cannot be gone on with: its time is over, or its request was closed."""

    code = "upload_gone"


class UnsupportedVersion(PxError):
    """The tus protocol in a version that is not spoken here."""

    code = "unsupported_version"


class InvalidAnswer(PxError):
    """The answer does not satisfy the request's schema; `errors` says where."""

    code = "invalid_answer"


class UnknownAddressee(PxError):
    """No such addressee, or none that this caller may address: one and the same."""

    code = "unknown_addressee"


class InvalidTime(PxError):
    """A time that cannot be: in the past, after the deadline, or two that contradict."""

    code = "invalid_time"


class IdempotencyKeyReused(PxError):
    """The key was used for another body (S7)."""

    code = "idempotency_key_reused"


class InvalidCursor(PxError):
    """The paging cursor is not one that was given out for this list."""

    code = "invalid_cursor"


class InvalidAck(PxError):
    """An acknowledgement above what was sent (E8)."""

    code = "invalid_ack"


class InvalidParts(PxError):
    """A part out of turn or unlike the first one, or another hash than was named."""

    code = "invalid_parts"


class RequestTimeout(PxError):
    """What was sent did not arrive whole in time; nothing was done."""

    code = "request_timeout"


class TooManyConnections(PxError):
    """The client has as many connections as one may have."""

    code = "too_many_connections"


class NotSubscribed(PxError):
    """The connection has no subscription to this channel."""

    code = "not_subscribed"


class TooManySubscriptions(PxError):
    """The connection has as many channels as one may have."""

    code = "too_many_subscriptions"


class UnknownOperation(PxError):
    """No operation of this name."""

    code = "unknown_operation"


class UnsupportedMediaType(PxError):
    code = "unsupported_media_type"


class NotSupported(PxError):
    """Named in the contract, and not built yet."""

    code = "not_supported"


class Overloaded(PxError):
    """A bounded queue is full; nothing was done (A2)."""

    code = "overloaded"


class Contended(PxError):
    """Others kept changing it first; nothing was done (S2)."""

    code = "contended"


class OutcomeUnknown(PxError):
    """The command may or may not have taken effect; repeating it is safe (S7)."""

    code = "outcome_unknown"


class Unavailable(PxError):
    """The database, or the storage of files, cannot be reached or is not ready yet; nothing was
    done."""

    code = "unavailable"


class RefUnavailable(PxError):
    """What a schema refers to cannot be fetched now; nothing was done."""

    code = "ref_unavailable"


class Draining(PxError):
    """This broker is shutting down; another one, or the next, will serve."""

    code = "draining"


class InternalError(PxError):
    """A fault of the broker's own; it is in the log under the request id."""

    code = "internal"


class MethodNotAllowed(PxError):
    """The path exists, for other methods."""

    code = "method_not_allowed"
