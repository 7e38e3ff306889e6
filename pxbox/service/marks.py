"""What a responder does in its own inbox: read, throw away, take back, put off."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import trio
from msgspec import UNSET, Raw

from pxbox.behaviors.inbox import MarksSet, SetMarks
from pxbox.behaviors.request import Act, Done
from pxbox.domain import access
from pxbox.domain import request as domain
from pxbox.domain.inbox import Touch
from pxbox.model import wire
from pxbox.model.errors import InvalidRequest, NotFound, PxError
from pxbox.model.mark import Mark
from pxbox.model.reach import Reach
from pxbox.service.asking import BULK_AT_ONCE, check_time
from pxbox.service.core import Call, Outcome, Parts, ask, check_key, once
from pxbox.service.problems import problem
from pxbox.service.requests import inquiry_state, known

Run = Callable[[Parts, Call], Awaitable[Outcome]]


def touching(operation: str, touch: Touch) -> Run:
    """The operation that does this to one inquiry; it replies `InquiryState`."""

    async def run(parts: Parts, call: Call) -> Outcome:
        input = call.input
        assert isinstance(input, wire.RequestId)
        await _require_mine(parts, call, input.id)
        message = SetMarks(touch, (input.id,), once(call, operation, input.id), _state_of_one)
        set_ = await _set(parts, call, message)
        if touch is Touch.MARK_READ:
            parts.deliveries.note((input.id,), Reach.OPENED)
        if set_.replay is not None:
            return Outcome(set_.replay, replayed=True)
        return Outcome(inquiry_state(set_.marks[0]))

    return run


async def snooze(parts: Parts, call: Call) -> Outcome:
    """Out of the caller's sight until `remindAt`; replies `InquiryState`. Raises InvalidTime."""
    input = call.input
    assert isinstance(input, wire.Snooze)
    command = domain.Snooze(call.caller.responder(), _until(input.remind_at))
    return await _put_off(parts, input.id, Act(command, once(call, "snooze", input.id)))


async def wake(parts: Parts, call: Call) -> Outcome:
    """End the snoozing; replies `InquiryState`."""
    input = call.input
    assert isinstance(input, wire.Wake)
    command = domain.Wake(call.caller.responder())
    return await _put_off(parts, input.id, Act(command, once(call, "wake", input.id)))


async def update_many(parts: Parts, call: Call) -> Outcome:
    """Do the same to each inquiry that it can be done to; another gets its own error and stops
    none. Replies `InquiriesUpdated`."""
    input = call.input
    assert isinstance(input, wire.UpdateInquiries)
    if (input.action == "snooze") is (input.remind_at is None):
        raise InvalidRequest("`remindAt` comes with `snooze`, and with nothing else")
    call.caller.responder()
    check_key(call)
    ids = list(dict.fromkeys(input.ids))
    if input.action in ("snooze", "wake"):
        return _updated(await _each(ids, lambda one: _put_off_one(parts, call, input, one)))
    return await _touch_many(parts, call, Touch(input.action), ids)


async def _touch_many(parts: Parts, call: Call, touch: Touch, ids: Sequence[str]) -> Outcome:
    """All that are the caller's in one commit."""

    async def judge(id: str) -> wire.InquiryOutcome:
        await _require_mine(parts, call, id)
        return wire.InquiryOutcome(id=id)

    outcomes = await _each(ids, judge)
    mine = tuple(one.id for one in outcomes if one.error is UNSET)

    def reply(marks: Sequence[Mark]) -> wire.InquiriesUpdated:
        states = {mark.request_id: inquiry_state(mark) for mark in marks}
        return _summed([_with_state(one, states.get(one.id)) for one in outcomes])

    if not mine:
        return Outcome(reply(()))
    key = once(call, "updateInquiries", "")
    set_ = await _set(
        parts, call, SetMarks(touch, mine, key, lambda marks: msgspec.json.encode(reply(marks)))
    )
    if set_.replay is not None:
        return Outcome(set_.replay, replayed=True)
    return Outcome(reply(set_.marks))


async def _put_off_one(
    parts: Parts, call: Call, input: wire.UpdateInquiries, id: str
) -> wire.InquiryOutcome:
    if input.remind_at is not None:
        one = replace(call, input=wire.Snooze(id=id, remind_at=input.remind_at))
        reply = (await snooze(parts, one)).reply
    else:
        reply = (await wake(parts, replace(call, input=wire.Wake(id=id)))).reply
    if isinstance(reply, Raw):
        reply = msgspec.json.decode(reply, type=wire.InquiryState)
    assert isinstance(reply, wire.InquiryState)
    return wire.InquiryOutcome(id=id, inquiry=reply)


async def _each(
    ids: Sequence[str], act: Callable[[str], Awaitable[wire.InquiryOutcome]]
) -> list[wire.InquiryOutcome]:
    """The outcome of each, in order; a few are under way at once."""
    outcomes: dict[str, wire.InquiryOutcome] = {}
    limiter = trio.CapacityLimiter(BULK_AT_ONCE)

    async def one(id: str) -> None:
        async with limiter:
            try:
                outcomes[id] = await act(id)
            except PxError as error:
                outcomes[id] = wire.InquiryOutcome(id=id, error=problem(error))

    async with trio.open_nursery() as nursery:
        for id in ids:
            nursery.start_soon(one, id)
    return [outcomes[id] for id in ids]


def _updated(outcomes: list[wire.InquiryOutcome]) -> Outcome:
    return Outcome(_summed(outcomes))


def _summed(outcomes: list[wire.InquiryOutcome]) -> wire.InquiriesUpdated:
    failed = sum(one.error is not UNSET for one in outcomes)
    return wire.InquiriesUpdated(updated=len(outcomes) - failed, failed=failed, items=outcomes)


def _with_state(
    outcome: wire.InquiryOutcome, state: wire.InquiryState | None
) -> wire.InquiryOutcome:
    return outcome if state is None else wire.InquiryOutcome(id=outcome.id, inquiry=state)


def _state_of_one(marks: Sequence[Mark]) -> bytes:
    return msgspec.json.encode(inquiry_state(marks[0]))


def _until(time: datetime) -> datetime:
    check_time(time)
    return time.astimezone(UTC)


async def _set(parts: Parts, call: Call, message: SetMarks) -> MarksSet:
    done = await ask(parts, "inbox", call.caller.responder().entity, message)
    assert isinstance(done, MarksSet)
    return done


async def _put_off(parts: Parts, request_id: str, message: Act) -> Outcome:
    done = await ask(parts, "request", known(request_id), message)
    assert isinstance(done, Done)
    if done.replay is not None:
        return Outcome(done.replay, replayed=True)
    assert done.mark is not None
    return Outcome(inquiry_state(done.mark))


async def _require_mine(parts: Parts, call: Call, request_id: str) -> None:
    """Raise NotFound unless the request lies in the caller's inbox, Forbidden without one."""
    call.caller.responder()
    request = await parts.views.request(known(request_id))
    if request is None or not access.may_answer(call.caller, request):
        raise NotFound("no such inquiry")
