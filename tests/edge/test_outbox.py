"""The outbox on a real socket pair: order, its bound in bytes, and its ends (E10)."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from pxbox.model.channel import Several
from pxbox.tcp import Wire
from pxbox.ws.frames import payload_of, text_frame
from pxbox.ws.outbox import Outbox, OutboxLimits

ACCEPTED = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
CLOSE = b"\x88\x02\x0f\xa0"
SMALL = OutboxLimits(waiting_bytes=10_000, close_seconds=0.1, linger_seconds=0.1)


class Reader:
    """The other side: reads when told to, in a small window."""

    def __init__(self, sock: socket.socket) -> None:
        self.stream = trio.SocketStream(trio.socket.from_stdlib_socket(sock))

    async def exactly(self, size: int) -> bytes:
        received = b""
        with trio.fail_after(10):
            while len(received) < size:
                more = await self.stream.receive_some(size - len(received))
                assert more, f"ended after {len(received)} of {size} bytes"
                received += more
        return received

    async def rest(self) -> bytes:
        received = b""
        with trio.fail_after(10):
            try:
                async for more in self.stream:
                    received += more
            except trio.BrokenResourceError:
                pass
        return received


@asynccontextmanager
async def connected(
    limits: OutboxLimits = SMALL, *, stall_seconds: float = 30.0
) -> AsyncIterator[tuple[Outbox, Reader]]:
    """An outbox that has accepted its handshake, and its reader that has read the acceptance."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(listener.getsockname())
        server, _ = listener.accept()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    reader = Reader(client)
    async with reader.stream, trio.open_nursery() as nursery:
        wire = Wire(server, stall_seconds=stall_seconds)
        outbox = Outbox(wire, nursery, limits)
        try:
            await outbox.send_all(ACCEPTED)
            await reader.exactly(len(ACCEPTED))
            yield outbox, reader
        finally:
            outbox.abort()


def numbered(number: int) -> bytes:
    return text_frame(b"%04d" % number)


def fill(outbox: Outbox) -> bytes:
    """Put frames until the kernel takes no more; what was put."""
    put = b""
    while not (outbox.queued_bytes or outbox.slow):
        outbox.put(text_frame(b"-" * 1000))
        put += text_frame(b"-" * 1000)
    return put


async def test_frames_that_fit_leave_at_once() -> None:
    async with connected() as (outbox, reader):
        outbox.put(numbered(1))
        assert outbox.queued_bytes == 0
        assert await reader.exactly(6) == numbered(1)


async def test_frames_replies_and_events_leave_in_the_order_they_were_given() -> None:
    async with connected(OutboxLimits()) as (outbox, reader):
        expected = fill(outbox)
        for number in range(0, 300, 3):
            outbox.put(numbered(number))
            await outbox.send_all(numbered(number + 1))
            outbox.put_event(numbered(number + 2))
            expected += b"".join(numbered(number + step) for step in range(3))
        assert await reader.exactly(len(expected)) == expected
        await outbox.wait_drained(1)
        assert outbox.queued_bytes == 0


async def test_nothing_is_sent_before_the_handshake_is_answered() -> None:
    async with connected() as (outbox, reader), trio.open_nursery() as nursery:
        assert outbox.answered
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    reader = Reader(client)
    async with reader.stream, trio.open_nursery() as nursery:
        outbox = Outbox(Wire(server, stall_seconds=1), nursery, SMALL)
        outbox.put(numbered(1))
        await outbox.send_all(ACCEPTED)
        outbox.put(numbered(2))
        await reader.stream.send_eof()
        await outbox.aclose()
        assert await reader.rest() == ACCEPTED + numbered(2)


async def test_a_reader_with_more_than_the_limit_waiting_is_slow() -> None:
    async with connected() as (outbox, _):
        fill(outbox)
        while not outbox.slow:
            before = outbox.queued_bytes
            assert before <= SMALL.waiting_bytes
            outbox.put(numbered(1))
        assert before > SMALL.waiting_bytes - 10
        with pytest.raises(trio.BrokenResourceError):
            await outbox.wait_drained(1)


async def test_a_slow_reader_can_still_read_the_close_frame_and_nothing_after_it() -> None:
    async with connected() as (outbox, reader):
        begun = text_frame(b"-" * 1_000_000)
        outbox.put(begun)
        assert 0 < outbox.queued_bytes < len(begun)
        outbox.put(numbered(1))
        assert outbox.slow
        outbox.put(numbered(2))
        await outbox.send_all(numbered(3))
        await outbox.send_all(CLOSE)
        outbox.put(numbered(4))
        await outbox.send_all(numbered(5))
        # Whole frames only: what had begun to leave is finished, then comes the Close frame.
        assert await reader.exactly(len(begun) + len(CLOSE)) == begun + CLOSE
        await outbox.aclose()
        assert await reader.rest() == b""


async def test_a_slow_reader_does_not_delay_others() -> None:
    async with connected() as (slow, _), connected() as (quick, reader):
        fill(slow)
        for number in range(2000):
            slow.put(numbered(number))
            quick.put(numbered(number))
            assert await reader.exactly(6) == numbered(number)
        assert slow.slow
        assert not quick.slow


async def test_a_reader_that_takes_nothing_for_too_long_is_slow() -> None:
    async with connected(stall_seconds=0.05) as (outbox, _):
        with trio.fail_after(10):
            while not outbox.slow:
                # The kernel takes more for a while, as it moves it to the other side.
                fill(outbox)
                await trio.lowlevel.checkpoint()


async def test_replies_wait_for_the_reader_and_do_not_count_as_its_lag() -> None:
    async with connected() as (outbox, reader):
        reply = text_frame(b"r" * 200_000)
        await outbox.send_all(reply)
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(outbox.send_all, reply)
            await trio.testing.wait_all_tasks_blocked()
            assert outbox.queued_bytes < len(reply), "the others wait outside"
            outbox.put(numbered(1))
            assert not outbox.slow
            expected = reply + numbered(1) + reply * 5
            assert await reader.exactly(len(expected)) == expected


async def test_a_reply_that_waits_is_dropped_when_its_reader_turns_out_to_be_slow() -> None:
    async with connected() as (outbox, _), trio.open_nursery() as nursery:
        reply = text_frame(b"r" * 1_000_000)
        await outbox.send_all(reply)
        nursery.start_soon(outbox.send_all, reply)
        await trio.testing.wait_all_tasks_blocked()
        while not outbox.slow:
            outbox.put(numbered(1))


async def test_a_paged_resume_waits_until_its_reader_is_ready() -> None:
    async with connected() as (outbox, reader):
        expected = fill(outbox)
        while outbox.queued_bytes < 5000:
            outbox.put(numbered(0))
            expected += numbered(0)
        drained = trio.Event()

        async def wait() -> None:
            await outbox.wait_drained(1000)
            assert outbox.queued_bytes < 1000
            drained.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            assert not drained.is_set()
            await reader.exactly(len(expected))


async def test_events_of_a_resume_are_no_lag_however_many_they_are() -> None:
    async with connected() as (outbox, reader):
        events = [text_frame(b"%06d" % number * 100) for number in range(500)]
        sent = b"".join(events)

        async def resume() -> None:
            for at in range(0, len(events), 10):
                await outbox.wait_drained(SMALL.waiting_bytes // 2)
                outbox.put_paced(Several(events[at : at + 10]))
                assert outbox.queued_bytes <= SMALL.waiting_bytes // 2 + 10 * len(events[0])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(resume)
            await trio.testing.wait_all_tasks_blocked()
            assert outbox.queued_bytes
            assert await reader.exactly(len(sent)) == sent
        assert not outbox.slow


async def test_a_page_of_a_resume_is_one_frame_for_who_reads_several_events_at_once() -> None:
    async with connected() as (outbox, reader):
        outbox.merge_events(lambda payloads: text_frame(b"+".join(payloads)))
        outbox.put_paced(Several([text_frame(b"a"), text_frame(b"b")]))
        outbox.put_paced(Several([text_frame(b"c")]))
        wanted = text_frame(b"a+b") + text_frame(b"c")
        assert await reader.exactly(len(wanted)) == wanted


async def test_several_events_leave_in_one_call_and_are_joined_once_for_all_readers() -> None:
    joins = 0

    def join(payloads: list[bytes]) -> bytes:
        nonlocal joins
        joins += 1
        return text_frame(b"+".join(payloads))

    several = Several([text_frame(b"a"), text_frame(b"b")])
    async with (
        connected() as (one, first),
        connected() as (two, second),
        connected() as (plain, third),
    ):
        one.merge_events(join)
        two.merge_events(join)
        for outbox in (one, two, plain):
            outbox.put_events(several)
        for reader in (first, second):
            assert await reader.exactly(5) == text_frame(b"a+b")
        assert await third.exactly(6) == text_frame(b"a") + text_frame(b"b")
    assert joins == 1


async def test_a_reader_that_is_behind_costs_no_call_of_the_kernel_for_each_event() -> None:
    """What others wait for while it is told is an append to its queue (E10)."""
    async with connected() as (slow, _):
        calls = 0
        send = slow._try_send

        def counted(data: bytes) -> int:
            nonlocal calls
            calls += 1
            return send(data)

        slow._try_send = counted
        fill(slow)
        calls = 0
        while not slow.slow:
            slow.put_event(numbered(1))
        for number in range(1_000):
            slow.put_event(numbered(number))
        assert calls == 0
        assert slow.queued_bytes <= SMALL.waiting_bytes


async def test_silence_is_what_a_peer_that_is_listened_to_does_not_say() -> None:
    async with connected() as (outbox, reader):
        heard = outbox.received_bytes
        assert not outbox.silent_since(heard), "nobody listens: what it has said is not known"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outbox.receive_some)
            await trio.testing.wait_all_tasks_blocked()
            assert outbox.silent_since(heard)
            await reader.stream.send_all(b"any")
        assert outbox.received_bytes == heard + 3
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outbox.receive_some)
            await trio.testing.wait_all_tasks_blocked()
            assert not outbox.silent_since(heard)
            nursery.cancel_scope.cancel()


async def test_waiting_events_are_merged_into_one_frame_and_replies_are_not() -> None:
    def join(payloads: list[bytes]) -> bytes:
        return text_frame(b"[" + b",".join(payloads) + b"]")

    async with connected() as (outbox, reader):
        outbox.merge_events(join)
        outbox.put_event(numbered(1))
        assert await reader.exactly(6) == numbered(1), "nothing waited: nothing to merge with"
        begun = fill(outbox)
        outbox.put_event(numbered(2))
        outbox.put_event(numbered(3))
        outbox.put(numbered(4))
        outbox.put_event(numbered(5))
        await reader.exactly(len(begun))
        merged = text_frame(b"[0002,0003]")
        expected = merged + numbered(4) + numbered(5)
        assert await reader.exactly(len(expected)) == expected
        await outbox.wait_drained(1)
        assert outbox.queued_bytes == 0


async def test_closing_lets_what_is_queued_leave_and_nothing_that_comes_later() -> None:
    async with connected(OutboxLimits(linger_seconds=0.1)) as (outbox, reader):
        expected = fill(outbox)
        await outbox.send_all(CLOSE)
        outbox.put(numbered(1))
        await outbox.send_all(numbered(2))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outbox.aclose)
            assert await reader.rest() == expected + CLOSE


async def test_closing_does_not_wait_longer_than_its_deadline_for_a_peer_that_never_reads() -> None:
    async with connected() as (outbox, _):
        fill(outbox)
        with trio.fail_after(10):
            await outbox.aclose()
        assert outbox.queued_bytes == 0


async def test_what_a_peer_did_not_read_is_not_left_to_the_kernel() -> None:
    async with connected() as (outbox, reader):
        fill(outbox)
        outbox.abort()
        with pytest.raises(trio.BrokenResourceError):
            async for _ in reader.stream:
                pass


async def test_closing_in_a_cancelled_scope_is_immediate() -> None:
    async with connected(OutboxLimits(close_seconds=1000)) as (outbox, _):
        fill(outbox)
        with trio.CancelScope() as scope:
            scope.cancel()
            await outbox.aclose()
        assert outbox.queued_bytes == 0


async def test_everything_does_nothing_on_a_connection_that_has_ended() -> None:
    async with connected() as (outbox, _):
        outbox.abort()
        outbox.put(numbered(1))
        outbox.put_event(numbered(1))
        with pytest.raises(trio.ClosedResourceError):
            await outbox.send_all(numbered(1))
        with pytest.raises(trio.BrokenResourceError):
            await outbox.wait_drained(1)
        await outbox.aclose()


async def test_a_peer_that_is_gone_is_found_out_by_sending_and_wakes_the_reader() -> None:
    async with connected() as (outbox, reader), trio.open_nursery() as nursery:
        ended = trio.Event()

        async def read() -> None:
            with suppress(trio.ClosedResourceError, trio.BrokenResourceError):
                while await outbox.receive_some():
                    pass
            ended.set()

        nursery.start_soon(read)
        await reader.stream.aclose()
        with trio.fail_after(10):
            while not ended.is_set():
                outbox.put(numbered(1))
                await trio.lowlevel.checkpoint()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("fer"), st.integers(1, 3000)), max_size=40))
def test_whatever_is_put_within_the_limit_arrives_in_order(
    given_out: list[tuple[str, int]],
) -> None:
    async def run() -> None:
        async with connected(OutboxLimits()) as (outbox, reader):
            frames = [text_frame(b"%d" % size * size) for _, size in given_out]

            async def give() -> None:
                for (kind, _), frame in zip(given_out, frames, strict=True):
                    if kind == "f":
                        outbox.put(frame)
                    elif kind == "e":
                        outbox.put_event(frame)
                    else:
                        await outbox.send_all(frame)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(give)
                expected = b"".join(frames)
                assert await reader.exactly(len(expected)) == expected
            await outbox.wait_drained(1)
            assert outbox.queued_bytes == 0

    trio.run(run)


def test_the_payload_of_a_frame_is_what_it_was_made_of() -> None:
    assert payload_of(numbered(7)) == b"0007"
