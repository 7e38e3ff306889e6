"""The judgement: every way in which a history contradicts what was promised. Pure.

No acknowledged command is lost (S1), each race has one winner (S6), a repeated command was
carried out once (S7), and each watcher saw each channel as 1 to n in order, or was told that it
did not (E1, E5, E8). No fault here loses what Postgres had committed, so the epoch stays (E4).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from tests.jepsen.history import Command, Final, History, LoggedEvent, Outcome, Resumed, Saw, View

EXPECTED_REFUSALS = frozenset({"wrong_status", "claimed_by_other"})
CLOSING = {
    "request.answered": "ANSWERED",
    "request.cancelled": "CANCELLED",
    "request.declined": "DECLINED",
    "request.expired": "EXPIRED",
}


def violations(history: History, final: Final) -> list[str]:
    """All that is wrong, in words; empty where nothing is."""
    return [
        *_commands(history.commands, final),
        *_races(history.commands, final),
        *(wrong for channel, log in final.logs.items() for wrong in _log(channel, log)),
        *(wrong for channel, log in final.logs.items() for wrong in _life(channel, log, final)),
        *(wrong for view in history.views for wrong in _view(view, final)),
    ]


def _commands(commands: list[Command], final: Final) -> Iterator[str]:
    created = Counter(
        c.subject for c in commands if c.op == "createRequest" and c.outcome is Outcome.DONE
    )
    for id, count in created.items():
        if id not in final.statuses:
            yield f"request {id} was acknowledged and is lost"
        if count > 1:
            yield f"request {id} was given to {count} creates"
    for id in final.statuses.keys() - created.keys():
        yield f"request {id} was created twice: nobody was told of it"
    for command in commands:
        if command.outcome is Outcome.REFUSED and command.code not in EXPECTED_REFUSALS:
            yield f"{command.op} of {command.subject} was refused with {command.code}"
        elif command.code == "wrong_status" and final.statuses.get(command.subject) == "PENDING":
            yield f"{command.op} of {command.subject} was refused, and it is still open"


def _races(commands: list[Command], final: Final) -> Iterator[str]:
    """Of each request: who was told to have won."""
    winners: dict[str, list[Command]] = defaultdict(list)
    for command in commands:
        if command.outcome is Outcome.DONE and command.op in ("postResponse", "cancelRequest"):
            winners[command.subject].append(command)
    for id, won in winners.items():
        if len(won) > 1:
            names = ", ".join(f"{command.op} by {command.who}" for command in won)
            yield f"request {id} has several winners: {names}"
        for command in won:
            wanted = "ANSWERED" if command.op == "postResponse" else "CANCELLED"
            if final.statuses.get(id) != wanted:
                yield f"{command.op} of {id} was acknowledged, and it is {final.statuses.get(id)}"
            if wanted == "ANSWERED" and final.answers.get(id) != command.reply.get("id"):
                yield f"the answer of {id} is another one than was acknowledged"


def _log(channel: str, log: list[LoggedEvent]) -> Iterator[str]:
    if [event.seq for event in log] != list(range(1, len(log) + 1)):
        yield f"{channel} is not numbered 1 to {len(log)}"
    for id, count in Counter(event.id for event in log).items():
        if count > 1:
            yield f"{channel} has event {id} {count} times"


def _life(channel: str, log: list[LoggedEvent], final: Final) -> Iterator[str]:
    """A request's own channel tells a life that could be: one end, one holder at a time."""
    kind, _, id = channel.partition(":")
    if kind != "request":
        return
    types = [event.type for event in log]
    if types[:1] != ["request.created"] or types.count("request.created") > 1:
        yield f"{channel} begins with {types[:1]}"
    ends = [type for type in types if type in CLOSING]
    status = final.statuses.get(id)
    if ends and (len(ends) > 1 or types[-1] != ends[0] or CLOSING[ends[0]] != status):
        yield f"{channel} ends with {ends}, and the request is {status}"
    if not ends and status in CLOSING.values():
        yield f"{channel} has no end, and the request is {status}"
    held = False
    for type in types:
        if type == "request.claimed" and held:
            yield f"{channel} was claimed twice at once"
        held = type == "request.claimed" or (held and type != "request.released")


def _view(view: View, final: Final) -> Iterator[str]:
    """One after another, each the event that the log has; and all of them in the end."""
    name = f"{view.watcher} of {view.channel}"
    log = final.logs.get(view.channel, [])
    at = 0
    for one in view.told:
        if one.epoch != final.epoch:
            yield f"{name}: told of epoch {one.epoch}, and it is {final.epoch}"
        match one:
            case Resumed(_, asked, after, None) if not asked == after == at:
                yield f"{name}: had seen {at}, asked from {asked}, goes on after {after}"
            case Resumed(_, _, after, str(reason)):
                if reason != "trimmed":
                    yield f"{name}: reloaded without need ({reason})"
                at = after
            case Saw(_, seq, id):
                if seq != at + 1:
                    yield f"{name}: {seq} came after {at}"
                elif seq > len(log) or log[seq - 1].id != id:
                    yield f"{name}: {seq} is {id}, which the log does not have there"
                at = seq
    if at != len(log):
        yield f"{name}: has come to {at} of {len(log)}"
