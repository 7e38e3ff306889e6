"""`pxbox entities`: who can be asked."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from pxbox.cli.calling import call
from pxbox.cli.exits import CommandFailed, Exit
from pxbox.cli.given import read_json
from pxbox.cli.names import Names, names_of
from pxbox.cli.terminal import clean, note, put, put_json, put_pairs
from pxbox.cli.times import shown
from pxbox.cli.where import NOWHERE, Switch, Where
from pxbox.client import AsyncPxBox, errors
from pxbox.model import wire

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

    async def read(px: AsyncPxBox) -> tuple[wire.EntityView, Names]:
        entity = await _get(px, address)
        return entity, {} if json else await names_of(px, entity.members)

    entity, names = call(where, read)
    if json:
        put_json(entity)
        return Exit.DONE
    facts = [
        ("id", entity.id),
        ("kind", entity.kind.lower()),
        ("address", entity.address),
        ("aliases", ", ".join(entity.aliases)),
        ("members", ", ".join(names.get(id, id) for id in entity.members)),
        ("made", shown(entity.created_at)),
    ]
    put_pairs([(name, value) for name, value in facts if value])
    return Exit.DONE


async def _get(px: AsyncPxBox, address: str) -> wire.EntityView:
    """The entity. Raises CommandFailed, which names the address: a command may have two."""
    try:
        return await px.entities.get(address)
    except errors.NotFound as error:
        said = f"There is no entity {clean(address)!r}, or none that you may see."
        if ":" not in address:
            said += f" A group is group:{clean(address)}, a role is role:{clean(address)}."
        raise CommandFailed(said, Exit.NOT_FOUND, error.problem) from None


def add_member(
    group: Group, member: Member, /, *, json: Json = False, where: Where = NOWHERE
) -> int:
    """Have a user or bot be a member of a group or role."""

    async def change(px: AsyncPxBox) -> wire.Membership:
        for each in (group, member):
            await _get(px, each)
        return await px.entities.add_member(group, member)

    reply = call(where, change)
    if json:
        put_json(reply)
    note(f"{member} is a member of {group}.")
    return Exit.DONE


def remove_member(
    group: Group, member: Member, /, *, json: Json = False, where: Where = NOWHERE
) -> int:
    """Have a user or bot be a member no more."""

    async def change(px: AsyncPxBox) -> wire.Membership:
        for each in (group, member):
            await _get(px, each)
        return await px.entities.remove_member(group, member)

    reply = call(where, change)
    if json:
        put_json(reply)
    note(f"{member} is no member of {group}.")
    return Exit.DONE
