"""Who is calling, and what they may ask for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

REQUEST = "request"
RESPOND = "respond"
FLOW = "flow"
ADMIN = "admin"
OVERRIDE = "override"
AUDIT = "audit"
OPERATE = "operate"
EVERY_WORKER = "worker:*"

SCOPES = frozenset({REQUEST, RESPOND, FLOW, ADMIN, OVERRIDE, AUDIT, OPERATE})
"""Every scope that opens something by itself. A token may carry others: they are kept (such as
`worker:<kind>`, whose kinds are the flow authors' own), and open nothing that is not asked for by
that very name, or by `worker:*` for every kind."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose token was verified.

    `sub` names the client. `entity` is the address of the one entity it acts as; None leaves that
    to the entity whose handle is `sub`, if any. `expires_at` is the token's `exp`; None never ends
    (development only). `token_id` tells tokens apart in logs and in the trail, and is not a secret.
    """

    sub: str
    entity: str | None
    scopes: frozenset[str]
    expires_at: datetime | None
    token_id: str
