"""Who may do what: one predicate a thing, for both transports and every way to it (X2)."""

from __future__ import annotations

from dataclasses import dataclass

from pxbox.domain.request import Responder
from pxbox.model.entity import Entity
from pxbox.model.errors import Forbidden
from pxbox.model.flow import Flow
from pxbox.model.principal import (
    ADMIN,
    AUDIT,
    EVERY_WORKER,
    FLOW,
    OPERATE,
    OVERRIDE,
    REQUEST,
    RESPOND,
    Principal,
)
from pxbox.model.request import Request


@dataclass(frozen=True, slots=True)
class Caller:
    """A principal, the entity that it acts as (if any), and the groups that this one is in now."""

    principal: Principal
    entity: Entity | None
    groups: frozenset[str]

    @property
    def sub(self) -> str:
        return self.principal.sub

    @property
    def addresses(self) -> frozenset[str]:
        """The ids of all entities whose requests reach this caller."""
        return self.groups | {self.entity.id} if self.entity else frozenset()

    def has(self, scope: str) -> bool:
        return scope in self.principal.scopes

    def responder(self) -> Responder:
        """The caller as one who answers. Raises Forbidden where its token names no entity."""
        if self.entity is None:
            raise Forbidden(
                "this token acts as no entity; mint one that names it (claim `entity`), or create "
                "an entity whose handle is the token's `sub`"
            )
        return Responder(self.entity.id, self.addresses, self.sub)


def require_scope(principal: Principal, any_of: tuple[str, ...]) -> None:
    """Raise Forbidden unless the principal has one of these scopes; an empty tuple admits all."""
    if any_of and principal.scopes.isdisjoint(any_of):
        raise Forbidden(f"this needs the scope {' or '.join(any_of)}", scopes=list(any_of))


def may_see(caller: Caller, request: Request) -> bool:
    return caller.has(ADMIN) or _asked(caller, request) or _answers(caller, request)


def may_read_answer(caller: Caller, request: Request) -> bool:
    """The asker and who gave the answer may; other candidates may not."""
    if caller.has(ADMIN) or _asked(caller, request):
        return True
    mine = caller.entity is not None and request.closed_by == caller.entity.id
    return mine and _answers(caller, request)


def may_read_trail(caller: Caller) -> bool:
    """Every trail whole, with clients and tokens."""
    return caller.has(AUDIT)


def may_follow(caller: Caller, request: Request) -> bool:
    """Read what became of it step by step: its asker may, who hears of the same by events."""
    return caller.has(ADMIN) or _asked(caller, request)


def may_answer(caller: Caller, request: Request) -> bool:
    """One of those who are asked, or who has closed it: in their inbox it lies."""
    return _answers(caller, request)


def may_override(caller: Caller) -> bool:
    return caller.has(OVERRIDE)


def may_watch_requestor(caller: Caller, sub: str) -> bool:
    return caller.has(ADMIN) or (caller.has(REQUEST) and sub == caller.sub)


def may_act_for(caller: Caller, entity_id: str) -> bool:
    """See an entity's own channel and lists: the entity itself, and members of the group."""
    return caller.has(ADMIN) or (caller.has(RESPOND) and entity_id in caller.addresses)


def may_see_flow(caller: Caller, flow: Flow) -> bool:
    return caller.has(ADMIN) or may_steer(caller, flow) or may_work(caller, flow.kind)


def may_work(caller: Caller, kind: str) -> bool:
    """Lease and checkpoint flows of this kind."""
    return caller.has(f"worker:{kind}") or caller.has(EVERY_WORKER)


def may_steer(caller: Caller, flow: Flow) -> bool:
    """Its creator and its owner may, or an operator."""
    owns = flow.owner is not None and flow.owner in caller.addresses
    return caller.has(FLOW) and (owns or flow.requestor == caller.sub or caller.has(OPERATE))


def _asked(caller: Caller, request: Request) -> bool:
    """The client that made it, or whoever owns the flow that did."""
    owner = request.flow.owner if request.flow is not None else None
    if owner in caller.addresses and caller.has(FLOW):
        return True
    return caller.has(REQUEST) and request.requestor == caller.sub


def _answers(caller: Caller, request: Request) -> bool:
    """Addressed now and not stepped back, or the one who closed it."""
    if caller.entity is None or not caller.has(RESPOND):
        return False
    if request.closed_by == caller.entity.id:
        return True
    addressed = not caller.addresses.isdisjoint(request.to)
    return addressed and caller.entity.id not in request.declined
