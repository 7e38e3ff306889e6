"""All commands, by several responders through two brokers, against the table as a model."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from pxbox.model.errors import PxError
from tests.service.brokers import Broker, Client, unique
from tests.service.model import CLOSED, ModelRequest, Team
from tests.service.threads import BrokerThread

PEOPLE = ["ada", "bob", "cy"]
people = st.sampled_from(PEOPLE)
# The claimant, or who was one until the lease ended: chance alone meets them too seldom.
actors = people | st.just("holder")
sides = st.integers(0, 1)
addressees = st.sampled_from(
    [("ada",), ("team",), ("ada", "bob"), ("team", "cy"), ("ada", "team"), ("bob", "cy", "team")]
)
answers = st.sampled_from([{"city": "Rome"}, {"city": "Paris"}, {"city": ""}, {}, 5])


def holder(request: ModelRequest, who: str) -> str:
    """Who is meant: "holder" is the claimant or the lapsed one, if there is any."""
    return who if who != "holder" else request.claimant or request.lapsed or "ada"


class Lives(RuleBasedStateMachine):
    """Requests through their lives; each rule plays one command on both, broker and model."""

    requests = Bundle("requests")

    def __init__(self, thread: BrokerThread) -> None:
        super().__init__()
        self.thread = thread
        self.asker = unique("asker")
        self.team = Team({"ada", "bob"})
        self.known: list[ModelRequest] = []

    @initialize()
    def make_people(self) -> None:
        one = self.thread.brokers[0]

        async def make() -> dict[str, str]:
            ids = {name: await one.user() for name in PEOPLE}
            return {**ids, "team": await one.group(ids["ada"], ids["bob"])}

        self.ids = self.thread.call(make)
        self.names = {id: name for name, id in self.ids.items()}

    @rule(
        target=requests, side=sides, to=addressees, required=st.booleans(), deadline=st.booleans()
    )
    def create(self, side: int, to: tuple[str, ...], required: bool, deadline: bool) -> Any:
        if len(self.known) == 5:
            return multiple()
        times = {"deadlineAt": "2999-01-01T00:00:00Z"} if deadline else {}
        asker, ids = self.broker(side).asker(self.asker), [self.ids[name] for name in to]
        made = self.thread.call(lambda: asker.ask(ids, None, claimRequired=required, **times))
        request = ModelRequest(made["id"], to, required, deadline, self.team)
        self.known.append(request)
        return request

    @rule(request=requests, side=sides, who=actors)
    def claim(self, request: ModelRequest, side: int, who: str) -> None:
        who = holder(request, who)
        client = self.person(side, who)
        self.expect(request, request.claim(who), client, "claimRequest")

    @rule(request=requests, side=sides, who=actors)
    def release(self, request: ModelRequest, side: int, who: str) -> None:
        who = holder(request, who)
        client = self.person(side, who)
        self.expect(request, request.release(who), client, "releaseRequest")

    @rule(request=requests, side=sides)
    def override(self, request: ModelRequest, side: int) -> None:
        client = self.broker(side).operator()
        self.expect(request, request.release(None), client, "releaseRequest")

    @rule(request=requests, side=sides, who=actors, answer=answers)
    def respond(self, request: ModelRequest, side: int, who: str, answer: object) -> None:
        who = holder(request, who)
        valid = isinstance(answer, dict) and bool(answer.get("city"))
        client, code = self.person(side, who), request.respond(who, answer, valid)
        self.expect(request, code, client, "postResponse", payload=answer)

    @rule(request=requests, side=sides, who=actors)
    def decline(self, request: ModelRequest, side: int, who: str) -> None:
        who = holder(request, who)
        client = self.person(side, who)
        self.expect(request, request.decline(who), client, "declineRequest")

    @rule(request=requests, side=sides, mine=st.sampled_from([True, False, False]))
    def cancel(self, request: ModelRequest, side: int, mine: bool) -> None:
        client = self.broker(side).asker(self.asker if mine else "another")
        self.expect(request, request.cancel(mine), client, "cancelRequest")

    @rule(request=requests)
    def let_lapse(self, request: ModelRequest) -> None:
        if request.claimant is not None:
            self.thread.let_lapse(request.id)
            request.lapse()
            self.notice(request)

    @rule(request=requests)
    def let_expire(self, request: ModelRequest) -> None:
        if request.deadline and request.status not in CLOSED:
            self.thread.let_expire(request.id)
            request.expire()
            self.notice(request)

    @rule(side=sides, who=people)
    def change_membership(self, side: int, who: str) -> None:
        joins = who not in self.team.members
        change = self.team.members.add if joins else self.team.members.remove
        change(who)
        operation = "addMember" if joins else "removeMember"
        group, member = self.ids["team"], self.ids[who]
        admin = self.broker(side).admin()
        self.do(admin, operation, id=group, member=member)
        for broker in self.thread.brokers:
            # As after the two seconds that a membership may be old.
            broker.parts.directory.membership_changed(member)

    @precondition(lambda self: self.known)
    @rule(side=sides, who=people)
    def look_at_the_inbox(self, side: int, who: str) -> None:
        client = self.person(side, who)
        page = self.do(client, "listInquiries", requestor=self.asker)
        listed = {item["id"]: item["status"] for item in page["items"]}
        mine = [r for r in self.known if who in r.addressed() and who not in r.declined]
        assert listed == {request.id: request.status for request in mine}
        assert page["total"] == len(mine)

    @rule(request=requests, side=sides, who=actors)
    def read(self, request: ModelRequest, side: int, who: str) -> None:
        who = holder(request, who)
        client = self.person(side, who)
        seen = self.code(client, "getRequest", request.id)
        assert seen == (None if request.sees(who) else "not_found")
        expected = "not_found"
        if request.sees(who) and request.status not in CLOSED:
            expected = "not_answered"
        elif request.sees(who) and request.status != "ANSWERED":
            expected = "no_response"
        mine = request.status == "ANSWERED" and request.closed_by == who
        assert self.code(client, "getResponse", request.id) == (None if mine else expected)

    @invariant()
    def every_request_is_as_the_model_says(self) -> None:
        for request in self.known:
            read = self.do(self.broker(0).admin(), "getRequest", id=request.id)
            assert read["status"] == request.status
            claim = read["claim"]
            assert (self.names[claim["by"]] if claim else None) == request.claimant
            closed_by = "the asker" if read["closedBy"] == self.asker else None
            assert self.names.get(read["closedBy"], closed_by) == request.closed_by
            assert read["version"] == len(request.told)

    def teardown(self) -> None:
        for request in self.known:
            self.check_events(request)

    def check_events(self, request: ModelRequest) -> None:
        """What was told is what happened, on every channel of the request."""
        told = self.events(f"request:{request.id}")
        assert [e["type"].removeprefix("request.") for e in told] == request.told
        assert [event["version"] for event in told] == list(range(1, len(told) + 1))
        assert told[-1]["status"] == request.status
        for name in request.to:
            channel = self.events(f"entity:{self.ids[name]}")
            assert [e for e in channel if e.get("requestId") == request.id] == told
        if request.status == "ANSWERED":
            kept = self.do(self.broker(1).asker(self.asker), "getResponse", id=request.id)
            assert (kept["payload"], self.names[kept["answeredBy"]]) == (
                request.answer,
                request.closed_by,
            )

    def do(self, client: Client, operation: str, **members: object) -> Any:
        return self.thread.call(lambda: client.call(operation, None, **members))

    def events(self, channel: str) -> list[dict[str, Any]]:
        return self.thread.call(lambda: self.broker(1).events(channel))

    def broker(self, side: int) -> Broker:
        return self.thread.brokers[side]

    def person(self, side: int, who: str) -> Client:
        return self.broker(side).responder(self.ids[who])

    def notice(self, request: ModelRequest) -> None:
        """Have the passing of a time noticed, by a command that does nothing else."""
        client = self.broker(0).asker("another")
        assert self.code(client, "cancelRequest", request.id) == "not_found"

    def code(self, client: Client, operation: str, id: str, **members: object) -> str | None:
        try:
            self.do(client, operation, id=id, **members)
        except PxError as refusal:
            return refusal.code
        return None

    def expect(
        self,
        request: ModelRequest,
        code: str | None,
        client: Client,
        operation: str,
        **members: object,
    ) -> None:
        assert self.code(client, operation, request.id, **members) == code


def test_all_commands_do_what_the_table_says(shared_database_url: str) -> None:
    thread = BrokerThread(shared_database_url)

    class OnThread(Lives):
        def __init__(self) -> None:
            super().__init__(thread)

    try:
        run_state_machine_as_test(
            OnThread,
            settings=settings(
                max_examples=40,
                stateful_step_count=40,
                deadline=None,
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        thread.close()
