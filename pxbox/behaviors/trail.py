"""What a transition leaves in the trail: a row of its own, in the same commit."""

from __future__ import annotations

import msgspec

from actors.journal import Row
from pxbox.model.request import Request
from pxbox.model.trail import Author

_encode = msgspec.json.encode


def trail_row(
    subject: str,
    version: int,
    type: str,
    actor: str | None,
    author: Author | None,
    **beside: object,
) -> Row:
    """`beside`: `status`, and members of the entry's detail."""
    status = beside.pop("status", None)
    detail = _encode(beside).decode() if beside else None
    values = {
        "subject": subject,
        "version": version,
        "type": type,
        "status": status,
        "actor": actor,
        "client": None if author is None else author.client,
        "token_id": None if author is None else author.token_id,
        "on_behalf_of": None if author is None else author.on_behalf_of,
        "detail": detail,
    }
    # Written once and never again. Two groups that a member comes to may be at one version.
    return Row("trail", f"{subject}.{version}.{detail}", 1, values)


def request_trail(
    after: Request, type: str, actor: str | None, author: Author | None, **detail: object
) -> Row:
    """What a transition of a request leaves, which is `after` it."""
    return trail_row(
        after.id, after.version, type, actor, author, status=after.status.value, **detail
    )
