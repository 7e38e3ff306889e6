"""`pxbox entities`: who can be asked."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from pxbox.cli.calling import call
from pxbox.cli.exits import Exit
from pxbox.cli.given import read_json
from pxbox.cli.terminal import note, put, put_json, put_pairs
from pxbox.cli.times import shown
from pxbox.cli.where import NOWHERE, Switch, Where

Json = Annotated[Switch, Parameter(help="Print the reply as JSON.")]
Address = Annotated[
    str, Parameter(help="A handle, group:NAME, role:NAME, an id or an alias.", metavar="ADDRESS")
]
Group = Annotated[str, Parameter(help="group:NAME, role:NAME or its id.", metavar="GROUP")]
Member = Annotated[str, Parameter(help="A user or bot, by any address.", metavar="MEMBER")]


def create(
    kind: Literal["user", "bot", "group", "role"],
    handle: str,
    /,
    *,
    alias: Annotated[list[str] | None, Parameter(negative=(), show_default=False)] = None,
    meta: Annotated[str | None, Parameter(metavar="JSON", show_default=False)] = None,
    json: Json = False,
    where: Where = NOWHERE,
) -> int:
    """Make somebody who can be asked, and print the new id.

    Parameters
    ----------
    kind
        A person, a program, or several of them.
    handle
        The name to address it by: lower case letters, digits, dots, hyphens and underscores.
    alias
        Another address of it, such as mailto:ana@example.org. Several times for several.
    meta
        Anything to keep with it: a JSON object, or @file.
    """
    members = None if meta is None else read_json(meta, "meta")
    made = call(
        where, lambda px: px.entities.create(kind, handle, aliases=alias or (), meta=members)
    )
    put_json(made) if json else put(made.id)
    return Exit.DONE


def show(address: Address, /, *, json: Json = False, where: Where = NOWHERE) -> int:
    """Show an entity, with its members."""
    entity = call(where, lambda px: px.entities.get(address))
    if json:
        put_json(entity)
        return Exit.DONE
    facts = [
        ("id", entity.id),
        ("kind", entity.kind.lower()),
        ("address", entity.address),
        ("aliases", ", ".join(entity.aliases)),
        ("members", ", ".join(entity.members)),
        ("made", shown(entity.created_at)),
    ]
    put_pairs([(name, value) for name, value in facts if value])
    return Exit.DONE


def add_member(
    group: Group, member: Member, /, *, json: Json = False, where: Where = NOWHERE
) -> int:
    """Have a user or bot be a member of a group or role."""
    reply = call(where, lambda px: px.entities.add_member(group, member))
    if json:
        put_json(reply)
    note(f"{member} is a member of {group}.")
    return Exit.DONE


def remove_member(
    group: Group, member: Member, /, *, json: Json = False, where: Where = NOWHERE
) -> int:
    """Have a user or bot be a member no more."""
    reply = call(where, lambda px: px.entities.remove_member(group, member))
    if json:
        put_json(reply)
    note(f"{member} is no member of {group}.")
    return Exit.DONE
