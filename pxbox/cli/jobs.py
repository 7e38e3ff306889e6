"""Operators' jobs: `pxbox retention`, `pxbox export`, `pxbox erase`."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
from cyclopts import Parameter

from pxbox.cli.calling import call
from pxbox.cli.exits import CommandFailed, Exit
from pxbox.cli.terminal import note, put, put_json
from pxbox.cli.times import read_moment
from pxbox.cli.where import NOWHERE, Switch, Where
from pxbox.client import AsyncPxBox
from pxbox.model import wire
from pxbox.model.request import Status

PAGE_ITEMS = 200
_COLUMNS = (
    "id", "status", "title", "requestor", "to", "createdAt", "deadlineAt", "closedAt", "closedBy",
    "reason", "tags", "meta", "answeredBy", "answeredAt", "answer",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Json = Annotated[Switch, Parameter(help="Print the outcome as JSON.")]
DryRun = Annotated[Switch, Parameter(help="Only count; change nothing.")]
Days = Annotated[int | None, Parameter(metavar="DAYS", show_default=False)]
Text = Annotated[str | None, Parameter(metavar="TEXT", show_default=False)]
Time = Annotated[str | None, Parameter(metavar="TIME", show_default=False)]
StatusName = Literal["pending", "claimed", "answered", "declined", "cancelled", "expired"]


def retention(
    *,
    answered_days: Days = None,
    unanswered_days: Days = None,
    dry_run: DryRun = False,
    json: Json = False,
    where: Where = NOWHERE,
) -> int:
    """Delete requests that were closed long ago, with their answers. Their trail stays.

    Parameters
    ----------
    answered_days
        Those that were answered so many days ago.
    unanswered_days
        Those that expired, or were declined or cancelled, so many days ago.
    """
    if answered_days is None and unanswered_days is None:
        raise CommandFailed("Give --answered-days, --unanswered-days, or both.", Exit.WRONG_CALL)
    ages = {"answeredDays": answered_days, "unansweredDays": unanswered_days, "dryRun": dry_run}
    done = call(where, lambda px: _retain(px, ages))
    if json:
        put_json(done)
    what = f"{done.answered} answered requests and {done.unanswered} without an answer"
    note(f"{what} {'would go' if dry_run else 'are gone'}.")
    return Exit.DONE


async def _retain(px: AsyncPxBox, ages: dict[str, Any]) -> wire.RetentionRound:
    total = wire.RetentionRound(
        dry_run=bool(ages["dryRun"]), answered=0, unanswered=0, next_cursor=None
    )
    cursor: str | None = None
    while True:
        input = ages | {"cursor": cursor}
        one = await px.carry_out("runRetention", input, wire.RetentionRound)
        total.answered += one.answered
        total.unanswered += one.unanswered
        cursor = one.next_cursor
        if cursor is None:
            return total


def export(
    *,
    status: Annotated[StatusName | None, Parameter(show_default=False)] = None,
    requestor: Text = None,
    tag: Text = None,
    since: Time = None,
    until: Time = None,
    format: Literal["ndjson", "csv"] = "ndjson",
    where: Where = NOWHERE,
) -> int:
    """Print requests with their answers, in the order they were made: one a line.

    Parameters
    ----------
    status
        Only those in this state.
    requestor
        Only what this client has asked.
    tag
        Only those with this tag.
    since
        Only what was made at this moment or later, such as 2031-01-31T12:00:00Z.
    until
        Only what was made before this moment.
    format
        JSON as exportRequests gives it, or a table for spreadsheets.
    """
    input: dict[str, Any] = {
        "status": None if status is None else Status(status.upper()),
        "requestor": requestor,
        "tag": tag,
        "createdAfter": None if since is None else _moment(since, "--since"),
        "createdBefore": None if until is None else _moment(until, "--until"),
        "limit": PAGE_ITEMS,
    }
    write = _as_csv() if format == "csv" else _as_json
    given = {name: value for name, value in input.items() if value is not None}
    count = call(where, lambda px: _export(px, given, write))
    note(f"{count} requests.")
    return Exit.DONE


def _moment(text: str, what: str) -> str:
    moment = read_moment(text, what)
    if not hasattr(moment, "isoformat"):
        raise CommandFailed(
            f"{what} wants a moment, such as 2031-01-31T12:00:00Z.", Exit.WRONG_CALL
        )
    return str(moment.isoformat())


async def _export(
    px: AsyncPxBox, input: dict[str, Any], write: Callable[[wire.ExportedRequest], None]
) -> int:
    """Page by page, so that nothing has to be held however much it is."""
    count = 0
    while True:
        page = await px.carry_out("exportRequests", input, wire.ExportPage)
        for item in page.items:
            write(item)
        count += len(page.items)
        if page.next_cursor is None:
            return count
        input = input | {"cursor": page.next_cursor}
        if sys.stderr.isatty():
            note(f"{count} so far")


def _as_json(item: wire.ExportedRequest) -> None:
    put(msgspec.json.encode(item).decode())


def _as_csv() -> Callable[[wire.ExportedRequest], None]:
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="")

    def write(cells: list[str]) -> None:
        line.seek(0)
        line.truncate()
        writer.writerow(cells)
        put(line.getvalue())

    write(list(_COLUMNS))
    return lambda item: write(_cells(item))


def _cells(item: wire.ExportedRequest) -> list[str]:
    members: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(item))
    answer = members.pop("answer") or {}
    if "payload" in answer:
        members["answer"] = msgspec.json.encode(answer["payload"]).decode()
    members["answeredBy"], members["answeredAt"] = (
        answer.get("answeredBy"),
        answer.get("answeredAt"),
    )
    return [_cell(members.get(name)) for name in _COLUMNS]


def _cell(value: Any) -> str:
    """Text that no spreadsheet takes for a formula: titles and reasons are written by strangers."""
    text = "" if value is None else value if isinstance(value, str) else _json(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _json(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return " ".join(value)
    return msgspec.json.encode(value).decode()


def erase(
    entity: Annotated[str, Parameter(help="A user or bot, by any address.", metavar="ADDRESS")],
    /,
    *,
    dry_run: DryRun = False,
    json: Json = False,
    where: Where = NOWHERE,
) -> int:
    """Erase what a person has left: answers, drafts, marks, names. It cannot be undone."""
    input = {"id": entity, "dryRun": dry_run}
    done = call(where, lambda px: px.carry_out("eraseEntity", input, wire.Erased))
    if json:
        put_json(done)
    counts = f"{done.answers} answers, {done.drafts} drafts, {done.marks} marks"
    note(f"{counts}, {done.trail} entries of the trail {'would be' if dry_run else 'are'} erased.")
    return Exit.DONE
