"""Alarms by the thousands, set by the database alone: each of a request of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from tests.brokers import Broker
from tests.inspection import Database
from tests.processes.people import Call, People, at_once, made

FAR = "2041-01-31T12:00:00"
AFTER = timedelta(hours=1)

# A request, its inquiries, marks and alarm, as often as there are ids ($2) with times ($3). $1 is
# the request that they are like, $4 the text that the time has in its state, $5 how much earlier
# than the alarm that time is, $6 the alarm's name.
_COPY = """
with copy as (
    select id, due, to_char(due - $5::interval, 'YYYY-MM-DD"T"HH24:MI:SS.US') as said
      from unnest($2::text[], $3::timestamptz[]) as c (id, due)
), requests as (
    insert into request
    select p.* from request r cross join copy c, jsonb_populate_record(r, jsonb_build_object(
               'id', c.id, 'deadline_at', case when $6 = 'deadline' then c.due end,
               'state', replace(replace(r.state::text, r.id, c.id), $4, c.said)::jsonb)) p
     where r.id = $1
), inquiries as (
    insert into inquiry
    select p.* from inquiry i cross join copy c, jsonb_populate_record(i, jsonb_build_object(
               'request_id', c.id,
               'deadline_at', case when $6 = 'deadline' then c.due else i.deadline_at end)) p
     where i.request_id = $1
), marks as (
    insert into mark
    select p.* from mark m cross join copy c, jsonb_populate_record(m, jsonb_build_object(
               'request_id', c.id, 'snoozed_until', c.due)) p
     where m.request_id = $1
)
insert into alarm (id, due_at, visible_at, subject)
select 'request:' || id || ':' || $6, due, due, 'request:' || id from copy
"""


@dataclass(frozen=True, slots=True)
class Model:
    """A request with one alarm, and what it is that tells that the alarm of one like it fired.

    `said` is how its state spells the alarm's time, which lies `before` the alarm.
    """

    request: str
    alarm: str
    said: str
    event: str
    before: timedelta = timedelta(0)

    def copy(self, database: Database, ids: list[str], due: list[Any]) -> None:
        """Make as many as there are ids, each with an alarm that is due at its time."""
        database.fetch(_COPY, self.request, ids, due, self.said, self.before, self.alarm)

    def remove(self, database: Database) -> None:
        """Its own alarm fires no more."""
        database.fetch("delete from alarm where subject = $1", f"request:{self.request}")


async def models(broker: Broker, database: Database, people: People) -> list[Model]:
    """A request with a deadline, a claimed, a snoozed and one that is to be escalated."""
    ((ada, ada_id),) = people.members
    async with broker.rest(broker.token(people.asker)) as client:
        await made(client, "user", f"next-{people.name}")
    steps = [{"after": int(AFTER.total_seconds()), "to": f"next-{people.name}"}]
    expiring, claimed, snoozed, escalated = [
        (await people.ask(broker, **more))["id"]
        for more in ({"deadlineAt": f"{FAR}Z", "deadlineNear": 0}, {}, {}, {"escalate": steps})
    ]
    acts = [
        Call(broker, ada, f"/v1/requests/{claimed}/claim"),
        Call(broker, ada, f"/v1/inquiries/{snoozed}/snooze", {"remindAt": f"{FAR}Z"}),
    ]
    assert {reply.status_code for reply in await at_once(acts)} == {200}

    def said(id: str, *path: str) -> str:
        text: str = database.value("select state #>> $2 from request where id = $1", id, path)
        return text.removesuffix("Z")

    return [
        Model(expiring, "deadline", FAR, "request.expired"),
        Model(claimed, "claim", said(claimed, "claim", "expiresAt"), "request.released"),
        Model(snoozed, f"reminder:{ada_id}", FAR, "request.reminder"),
        Model(escalated, "escalation", said(escalated, "createdAt"), "request.escalated", AFTER),
    ]
