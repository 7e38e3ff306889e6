"""What a flow's code can rely on, on the virtual clock of the testing kit (F1, F2, F3)."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxbox.flows import Context, FlowKind, Retry, StepFailed, flow
from pxbox.testing.flows import (
    Decline,
    NothingHappens,
    Question,
    Signal,
    Silence,
    crash_everywhere,
    replay,
    run_flow,
)

DAY = timedelta(days=1)


class Claim(msgspec.Struct):
    who: str
    amount: int


@dataclass
class Receipt:
    url: str


class Verdict(pydantic.BaseModel):
    paid: bool


def test_inputs_answers_and_results_are_of_any_type_with_a_json_form() -> None:
    @flow("types")
    async def types(ctx: Context, claim: Claim) -> Verdict:
        receipt = await ctx.ask("receipt", to=claim.who, schema=Receipt)
        verdict = await ctx.ask("verdict", to="boss", schema=Verdict)
        assert isinstance(receipt.data, Receipt)
        assert isinstance(verdict.data, Verdict)
        return verdict.data

    answers = {"receipt": {"url": "x"}, "verdict": Verdict(paid=True)}
    ended = run_flow(types, Claim("ann", 3), answers=answers)
    assert (ended.status, ended.result) == ("COMPLETED", {"paid": True})
    assert [question.request["to"] for question in ended.questions] == ["ann", "boss"]


def test_steps_are_sync_or_async_and_get_the_same_key_whenever_they_run() -> None:
    keys: list[str] = []

    def pay(sum: int, idempotency_key: str) -> int:
        keys.append(idempotency_key)
        if len(keys) < 3:
            raise OSError("away")
        return sum * 2

    async def thank(sum: int, *, twice: bool) -> str:
        return f"{sum}{' ' + str(sum) if twice else ''}"

    @flow("steps")
    async def steps(ctx: Context) -> str:
        sum = await ctx.step("pay", pay, 3, retry=Retry(attempts=5))
        thanks: str = await ctx.step("thank", thank, sum, twice=True)
        return thanks

    ended = run_flow(steps)
    assert ended.result == "6 6"
    assert len(keys) == 3
    assert len(set(keys)) == 1
    # Two pauses, by the policy and the virtual clock.
    assert timedelta(seconds=1) < ended.lasted < timedelta(seconds=3)


def test_waiting_takes_no_time_but_the_flows_own() -> None:
    @flow("waiting")
    async def waiting(ctx: Context) -> list[Any]:
        before = ctx.now()
        await ctx.sleep("winter", timedelta(days=90))
        asked = await ctx.ask("still", to="ann", schema=bool, deadline=DAY)
        came = await ctx.signal("spring", timeout=DAY)
        return [(ctx.now() - before).days, asked.outcome, came.outcome]

    assert run_flow(waiting).result == [92, "expired", "expired"]


def test_a_question_that_is_declined_has_no_answer() -> None:
    @flow("declined")
    async def declined(ctx: Context) -> list[Any]:
        asked = await ctx.ask("lunch", to="ann", schema=bool)
        with pytest.raises(ValueError, match="declined"):
            _ = asked.data
        return [asked.outcome, asked.reason, asked.by]

    ended = run_flow(declined, answers={"lunch": Decline("busy")})
    assert ended.result == ["declined", "busy", "responder"]


def test_a_signal_that_comes_before_its_wait_is_kept() -> None:
    @flow("early")
    async def early(ctx: Context) -> list[Any]:
        await ctx.sleep("first", DAY)
        one = await ctx.signal("news", int)
        two = await ctx.signal("news", int)
        return [one.data, two.data]

    signals = [Signal("news", 1), Signal("news", 2), Signal("other", 3)]
    assert run_flow(early, signals=signals).result == [1, 2]


def test_children_are_waited_for_however_they_end() -> None:
    @flow("good")
    async def good(ctx: Context, n: int) -> int:
        await ctx.sleep("a while", DAY)
        return n + 1

    @flow("bad")
    async def bad(ctx: Context) -> None:
        raise ValueError("no")

    @flow("parent")
    async def parent(ctx: Context) -> list[Any]:
        both = await ctx.gather({"good": ctx.starting(good, 1), "bad": ctx.starting(bad)})
        again = await ctx.child("again", ("good", 1), 5)
        return [both["good"].data, both["bad"].outcome, "ValueError: no" in both["bad"].error,
                again.data]  # fmt: skip

    ended = run_flow(parent, children=[good, bad])
    assert ended.result == [2, "failed", True, 6]
    assert ended.lasted == timedelta(days=2)


def test_a_flow_that_begins_anew_has_an_empty_record() -> None:
    @flow("loop")
    async def loop(ctx: Context, n: int) -> int:
        await ctx.sleep("tick", DAY)
        try:
            if n < 3:
                ctx.restart(n + 1)
        except Exception:
            raise AssertionError("beginning anew is no error") from None
        return n

    ended = run_flow(loop, 0)
    assert (ended.result, ended.lasted) == (3, timedelta(days=4))
    record = msgspec.json.decode(ended.record)
    assert [wait["key"] for wait in record["waits"]] == ["tick#1"]
    assert crash_everywhere(loop, 0) > 4


def test_what_is_random_is_the_same_on_every_replay() -> None:
    @flow("dice")
    async def dice(ctx: Context) -> list[Any]:
        await ctx.sleep("shake", 1)
        return [ctx.random(), ctx.random(), str(ctx.uuid()), ctx.now().isoformat()]

    ended = run_flow(dice)
    assert replay(dice, ended.record).result == ended.result
    assert ended.result[0] != ended.result[1]


def test_a_flow_says_how_it_stands() -> None:
    @flow("says")
    async def says(ctx: Context) -> None:
        ctx.status("a" * 300)
        ctx.state["seen"] = [1]
        await ctx.sleep("a while", 1)

    ended = run_flow(says)
    assert ended.text == "a" * 256
    assert msgspec.json.decode(ended.record)["state"] == {"seen": [1]}


def test_what_nothing_will_ever_end_fails_the_test() -> None:
    @flow("forever")
    async def forever(ctx: Context) -> None:
        await ctx.ask("lunch", to="ann", schema=bool)

    with pytest.raises(NothingHappens, match=r"lunch#1"):
        run_flow(forever, answers={"lunch": Silence()})


def test_responders_may_be_functions_of_the_question() -> None:
    @flow("asks")
    async def asks(ctx: Context) -> list[int]:
        found = await ctx.gather(
            {str(n): ctx.asking(to=f"p{n}", schema={"type": "integer"}) for n in range(3)}
        )
        return [asked.data for asked in found.values()]

    def answer(question: Question) -> int:
        return int(question.request["to"][1:]) * 10

    assert run_flow(asks, answers={str(n): answer for n in range(3)}).result == [0, 10, 20]


# Races and many at once.


def test_a_race_is_won_by_what_comes_first_and_lets_the_others_go() -> None:
    @flow("race")
    async def race(ctx: Context) -> list[Any]:
        first = await ctx.race({
            "boss": ctx.asking(to="boss", schema=bool),
            "late": ctx.sleeping(2 * DAY),
            "word": ctx.signalling(),
        })  # fmt: skip
        return [first.won, ctx.now().day]

    assert run_flow(race, answers={"boss": True}).result == ["boss", 1]
    assert run_flow(race).result == ["late", 3]
    assert run_flow(race, answers={"boss": Decline()}).result == ["late", 3]
    ended = run_flow(race, signals=[Signal("word", after=DAY)])
    assert ended.result == ["word", 2]
    waits = msgspec.json.decode(ended.record)["waits"]
    assert {wait["key"]: wait["outcome"] for wait in waits} == {
        "boss#1": "cancelled", "late#1": "cancelled", "word#1": "received",
    }  # fmt: skip


@flow("relay")
async def relay(ctx: Context) -> list[str]:
    won = []
    for leg in range(2):
        first = await ctx.race({
            "ann": ctx.asking(to="ann", schema=bool, deadline=3 * DAY),
            "bob": ctx.asking(to="bob", schema=bool, deadline=3 * DAY),
            "word": ctx.signalling(timeout=2 * DAY),
            "nap": ctx.sleeping(5 * DAY),
        })  # fmt: skip
        won.append(f"{leg} {first.won}")
        await ctx.sleep("rest", 1)
    return won


@settings(max_examples=30, deadline=None)
@given(
    ann=st.sampled_from([True, Decline(), Silence()]),
    bob=st.sampled_from([True, Decline(), Silence()]),
    hours=st.lists(st.integers(0, 200), max_size=3),
)
def test_a_race_has_the_same_winner_on_every_replay(ann: Any, bob: Any, hours: list[int]) -> None:
    """F1: a replay does what was done, whatever has happened since."""
    signals = [Signal("word", n, timedelta(hours=h)) for n, h in enumerate(hours)]
    ended = run_flow(relay, answers={"ann": ann, "bob": bob}, signals=signals)
    assert ended.status == "COMPLETED"
    again = replay(relay, ended.record)
    assert (again.status, again.result) == ("COMPLETED", ended.result)
    crash_everywhere(relay, answers={"ann": ann, "bob": bob}, signals=signals)


@pytest.mark.parametrize("many", [600, 1100])
def test_more_than_one_checkpoint_takes_is_written_in_several(many: int) -> None:
    """The contract takes 1,000 waits at once."""

    @flow("many")
    async def many_at_once(ctx: Context) -> int:
        for _ in range(many):
            ctx.now()
        found = await ctx.gather({f"nap {n}": ctx.sleeping(1) for n in range(many)})
        return len(found)

    ended = run_flow(many_at_once)
    assert ended.result == many
    assert ended.checkpoints >= many // 500 + 1


def test_large_results_are_written_one_by_one() -> None:
    @flow("large")
    async def large(ctx: Context) -> int:
        return sum([len(await ctx.step("one", lambda: "x" * 200_000)) for _ in range(4)])

    assert run_flow(large).result == 800_000


# Random code, crashed everywhere: the replay is what is tested.


def _random_flow(seed: int, effects: list[Any]) -> FlowKind:
    def effect(value: Any) -> Any:
        effects.append(value)
        return value

    @flow(f"random-{seed}")
    async def code(ctx: Context) -> list[Any]:
        dice, seen = random.Random(seed), []
        for n in range(dice.randrange(1, 7)):
            match dice.randrange(6):
                case 0:
                    seen.append(await ctx.step("step", effect, n))
                case 1:
                    asked = await ctx.ask("ask", to="ann", schema=True, deadline=DAY)
                    seen.append(asked.outcome)
                case 2:
                    await ctx.sleep("nap", dice.random())
                case 3:
                    won = await ctx.race(
                        {"ask": ctx.asking(to="ann", schema=True), "nap": ctx.sleeping(n)}
                    )
                    seen.append(won.won)
                case 4:
                    seen.append(str(ctx.uuid()) + str(ctx.now()))
                    ctx.compensate("undo", effect, f"undo {n}")
                case 5:
                    found = await ctx.gather(
                        {"s": ctx.signalling(timeout=DAY), "nap": ctx.sleeping(1)}
                    )
                    seen.append(found["s"].outcome)
        if dice.random() < 0.3:
            raise ValueError(f"after {seen}")
        return seen

    return code


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), answered=st.booleans())
def test_any_flow_ends_alike_wherever_it_crashes(seed: int, answered: bool) -> None:
    effects: list[Any] = []
    kind = _random_flow(seed, effects)
    answers: dict[str, Any] = {"ask": 1} if answered else {}
    crash_everywhere(kind, effects=effects, answers=answers, signals=[Signal("s", after=DAY / 2)])


def test_a_crash_that_makes_a_difference_is_found() -> None:
    """The kit itself: what is done outside of steps is done again by a replay."""
    effects: list[str] = []

    @flow("careless")
    async def careless(ctx: Context) -> None:
        effects.append("outside")
        await ctx.sleep("a while", 1)

    with pytest.raises(AssertionError, match="a crash after checkpoint 1"):
        crash_everywhere(careless, effects=effects)


def test_a_step_that_failed_and_was_caught_fails_alike_on_a_replay() -> None:
    calls: list[int] = []

    def fail() -> None:
        calls.append(1)
        raise OSError("away")

    @flow("caught")
    async def caught(ctx: Context) -> str:
        try:
            await ctx.step("fail", fail, retry=Retry(attempts=2))
        except StepFailed as failed:
            await ctx.sleep("breathe", 1)
            return f"{failed.kind} {failed.message} {failed.step}"
        return "no"

    assert run_flow(caught).result == "OSError away fail#1"
    assert len(calls) == 2
    crash_everywhere(caught, effects=calls)
