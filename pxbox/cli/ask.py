"""`pxbox ask`: ask somebody for data; `pxbox wait`: wait for the answer, again or elsewhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from cyclopts import Parameter

from pxbox.cli.calling import call
from pxbox.cli.exits import CommandFailed, Exit
from pxbox.cli.given import read_json, read_text
from pxbox.cli.rows import Id
from pxbox.cli.terminal import clean, interactive, note, put, put_json
from pxbox.cli.times import read_moment, shown
from pxbox.cli.where import NOWHERE, Switch, Where
from pxbox.client import Answer, AsyncPxBox, RequestHandle
from pxbox.client.requests import is_open

Text = Annotated[str | None, Parameter(metavar="TEXT", show_default=False)]
Time = Annotated[str | None, Parameter(metavar="TIME", show_default=False)]
Json = Annotated[str | None, Parameter(metavar="JSON", show_default=False)]


def ask(
    schema: str,
    /,
    *,
    to: Annotated[list[str], Parameter(metavar="WHO", negative=())],
    why: Text = None,
    context: Text = None,
    prefill: Json = None,
    deadline: Time = None,
    default: Json = None,
    attention: Time = None,
    escalate: Annotated[
        list[str] | None, Parameter(metavar="TIME=WHO", negative=(), show_default=False)
    ] = None,
    tag: Annotated[
        list[str] | None, Parameter(metavar="TEXT", negative=(), show_default=False)
    ] = None,
    key: Text = None,
    subject: Text = None,
    claim_required: Switch = False,
    no_self_answer: Switch = False,
    wait: Switch = False,
    json: Switch = False,
    where: Where = NOWHERE,
) -> int:
    """Ask somebody for data, and print the id of the request; with --wait, the answer.

    Parameters
    ----------
    schema
        What the answer must be, a JSON Schema: a file, @- for standard input, or the JSON itself.
    to
        Whom to ask: a handle, group:NAME, role:NAME, an id or an alias. Several times for several:
        any one of them may answer.
    why
        Why you need it, for who answers: Markdown, or @file.
    context
        What to know while answering: Markdown, or @file.
    prefill
        What the form starts from: JSON, or @file.
    deadline
        When the request closes: 30m, 2h, 1d12h from now, 17:30, or 2031-01-31T12:00.
    default
        The answer that stands if the deadline comes first: JSON, or @file.
    attention
        When those who are asked are told that it still waits: a time as for --deadline.
    escalate
        Whom to ask too if nobody has answered after so long: 30m=ben, or 2h=group:ops. Several
        times for several steps.
    tag
        A word to find it by. Several times for several.
    key
        Names the question: asking again with it within 24 hours finds the request that is there.
    subject
        What it is about: while a request with the same subject is open, that one is found instead.
    claim_required
        Have it claimed before it can be answered.
    no_self_answer
        Refuse answers by who asked.
    wait
        Wait for the answer and print it as JSON. Ctrl-C stops the waiting, not the request.
    json
        Print JSON: the request, or with --wait the whole response.
    """
    question = read_json(schema, "schema")
    if not isinstance(question, dict | bool):
        raise CommandFailed("A schema is a JSON object, or true or false.", Exit.INVALID)
    details: dict[str, Any] = {
        "why": read_text(why),
        "context": read_text(context),
        "prefill": None if prefill is None else read_json(prefill, "prefill"),
        "deadline": None if deadline is None else read_moment(deadline, "--deadline"),
        "default_answer": None if default is None else read_json(default, "default"),
        "attention": _moment(attention),
        "escalate": [_step(text) for text in escalate or ()] or None,
        "tags": tag,
        "key": key,
        "subject": subject,
        "claim_required": claim_required or None,
        "no_self_answer": no_self_answer or None,
    }

    async def create(px: AsyncPxBox) -> RequestHandle[Any]:
        return await px.requests.create(question, to=to[0] if len(to) == 1 else to, **details)

    if wait:
        return _wait(where, create, json, f"Asked {', '.join(map(clean, to))}: request ")
    request = call(where, create).request
    put_json(request) if json else put(request.id)
    if interactive():
        note(f"Asked {', '.join(map(clean, to))}. Wait for the answer: pxbox wait {request.id}")
    return Exit.DONE


def wait(id: Id, /, *, json: Switch = False, where: Where = NOWHERE) -> int:
    """Wait for the answer to a request that was made, and print it as JSON.

    Parameters
    ----------
    json
        Print the whole response.
    """
    return _wait(where, lambda px: px.requests.attach(id), json, "Request ")


def _wait(
    where: Where,
    find: Callable[[AsyncPxBox], Awaitable[RequestHandle[Any]]],
    json: bool,
    begun: str,
) -> int:
    """Wait, and print the answer. Ctrl-C leaves the request as it is."""
    found: list[str] = []

    async def until_answered(px: AsyncPxBox) -> Answer[Any]:
        handle = await find(px)
        found.append(handle.id)
        if is_open(handle.request):
            until = handle.request.deadline_at
            closes = f" It closes {shown(until)}." if until else ""
            note(f"{begun}{handle.id}. Waiting for the answer.{closes}")
        return await handle.wait()

    try:
        answer = call(where, until_answered)
    except KeyboardInterrupt:
        if found:
            note(f"\nNo longer waiting. The request stays open: pxbox wait {found[0]}")
        return Exit.INTERRUPTED
    put_json(answer if json else answer.data)
    return Exit.DONE


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    moment = read_moment(text, "--attention")
    return datetime.now(UTC) + moment if isinstance(moment, timedelta) else moment


def _step(text: str) -> dict[str, Any]:
    """One step of escalation, as in the contract. Raises CommandFailed."""
    after, sign, who = text.partition("=")
    moment = read_moment(after, "The time of --escalate") if sign and who else None
    if not isinstance(moment, timedelta):
        raise CommandFailed(
            f"--escalate wants how long after asking, and whom: 30m=ben, not {text[:60]!r}.",
            Exit.WRONG_CALL,
        )
    return {"after": round(moment.total_seconds()), "to": who}
