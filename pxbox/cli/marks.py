"""The marks of an inbox: `pxbox read`, `unread`, `snooze`, `wake`, `delete`, `restore`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from cyclopts import Parameter

from pxbox.cli.calling import call, in_options
from pxbox.cli.exits import CommandFailed, Exit
from pxbox.cli.rows import Ids
from pxbox.cli.terminal import clean, note, put_json
from pxbox.cli.times import read_moment, shown
from pxbox.cli.where import NOWHERE, Switch, Where
from pxbox.client.marks import Action

_EXITS = {"not_found": Exit.NOT_FOUND, "invalid_time": Exit.INVALID}
MOST_AT_ONCE = 1_000
Json = Annotated[Switch, Parameter(help="Print the outcomes as JSON.")]
Until = Annotated[
    str, Parameter(help="For how long (2h, 3d), or until when, with an offset.", metavar="TIME")
]


def read(ids: Ids, /, *, json: Json = False, where: Where = NOWHERE) -> int:
    """Mark requests as read."""
    return _update(where, "markRead", ids, json, "Read")


def unread(ids: Ids, /, *, json: Json = False, where: Where = NOWHERE) -> int:
    """Mark requests as unread."""
    return _update(where, "markUnread", ids, json, "Unread")


def snooze(ids: Ids, /, *, until: Until, json: Json = False, where: Where = NOWHERE) -> int:
    """Have requests out of sight for a while; a reminder comes."""
    moment = read_moment(until, "--until")
    far = datetime.now().astimezone() + moment if isinstance(moment, timedelta) else moment
    return _update(where, "snooze", ids, json, f"Snoozed until {shown(far)}", far)


def wake(ids: Ids, /, *, json: Json = False, where: Where = NOWHERE) -> int:
    """Have snoozed requests in sight again."""
    return _update(where, "wake", ids, json, "Awake")


def delete(ids: Ids, /, *, json: Json = False, where: Where = NOWHERE) -> int:
    """Throw requests out of your inbox. Others still see them."""
    return _update(where, "delete", ids, json, "Deleted from your inbox")


def restore(ids: Ids, /, *, json: Json = False, where: Where = NOWHERE) -> int:
    """Take deleted requests back into your inbox."""
    return _update(where, "restore", ids, json, "Restored")


def _update(
    where: Where,
    action: Action,
    ids: list[str],
    json: bool,
    done: str,
    until: datetime | None = None,
) -> int:
    if not 1 <= len(ids) <= MOST_AT_ONCE:
        raise CommandFailed(f"Give 1 to {MOST_AT_ONCE} ids.", Exit.WRONG_CALL)
    updated = call(where, lambda px: px.marks.update(action, ids, until))
    if json:
        put_json(updated)
    for one in updated.items:
        if isinstance(one.error, dict):
            note(f"{clean(one.id)}: {in_options(clean(str(one.error.get('detail'))))}")
    if updated.updated:
        note(f"{done}: {updated.updated}.")
    if not updated.failed:
        return Exit.DONE
    codes = {str(one.error.get("code")) for one in updated.items if isinstance(one.error, dict)}
    return _EXITS.get(codes.pop(), Exit.PROBLEM) if len(codes) == 1 else Exit.PROBLEM
