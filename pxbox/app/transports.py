"""The port, and both transports behind it."""

from __future__ import annotations

import gc
import signal
import socket
from collections.abc import Callable

import trio

from pxbox.app.berth import Berth
from pxbox.app.core import Core
from pxbox.app.upkeep import keep_house
from pxbox.auth import authenticator
from pxbox.auth.keys import signing_secret
from pxbox.auth.links import link_key
from pxbox.edge import Edge, EdgeLimits, HttpHost, open_listeners
from pxbox.model.errors import Draining, PxError
from pxbox.model.file import MEGABYTE
from pxbox.observe import Log, Metrics
from pxbox.readings import edge_readings, readings
from pxbox.rest.app import Surface, make_app
from pxbox.rest.routes import carries_file, carries_payload
from pxbox.settings import OperatorError, Settings
from pxbox.web import read_site, with_page
from pxbox.ws.admission import AdmissionLimits
from pxbox.ws.endpoint import Endpoint, Pulse, Terms
from pxbox.ws.handover import WebSocketLimits
from pxbox.ws.live_token import TokenTimes
from pxbox.ws.parts import PartsLimits
from pxbox.ws.session import Observers


async def serve_transports(
    settings: Settings,
    core: Core,
    on_listening: Callable[[int], None],
    berth: Berth | None,
    before_draining: Callable[[], None] | None,
    log: Log,
) -> None:
    """Serve until told to stop, then drain."""
    metrics, draining = Metrics(), trio.Event()
    who = authenticator(
        settings, lambda why: log.warning("the issuer's keys were not fetched", reason=why)
    )

    def fault(operation: str, error: Exception) -> None:
        log.error("fault", operation=operation, exc_info=error)

    def connection_fault(peer: str, error: BaseException) -> None:
        log.error("fault on a connection", peer=peer, exc_info=error)

    def request_fault(operation: str, request_id: str, error: Exception) -> None:
        log.error("fault", operation=operation, request_id=request_id, exc_info=error)

    async def missing() -> PxError | None:
        if draining.is_set():
            return Draining("this broker is shutting down")
        try:
            await core.parts.views.now()
        except PxError as error:
            return error
        return None

    async def figures() -> bytes:
        mine = metrics.render()
        return mine if berth is None else await berth.figures(mine)

    surface = Surface(
        core.parts, who, settings.max_body_bytes, settings.max_payload_bytes, missing,
        figures, metrics.http, request_fault, link_key(signing_secret(settings)),
    )  # fmt: skip
    token_times = TokenTimes(settings.token_notice_seconds, settings.token_grace_seconds)
    terms = Terms(
        token_times,
        PartsLimits(settings.max_payload_bytes, settings.parts_seconds),
        AdmissionLimits(settings.max_connections_per_client),
        Pulse(settings.heartbeat_seconds, settings.answer_seconds),
    )
    endpoint = Endpoint(core.parts, who, Observers(fault, metrics.command), terms)
    edge = Edge(
        http=HttpHost(
            with_page(read_site(core.parts.files.storage.origin), make_app(surface)),
            connection_fault,
            carries_payload,
            carries_file,
        ),
        websocket=endpoint.serve,
        limits=_edge_limits(settings),
        share=None if berth is None else berth.share(),
    )
    metrics.show(core.parts.flow_figures.wakes)
    metrics.read_from(lambda: readings(core.system, core.journal, core.relay, core.parts))
    metrics.read_from(lambda: edge_readings(edge, endpoint))
    listeners = await _listen(settings) if berth is None else berth.listeners()
    port = listeners[0].getsockname()[1]

    def drain() -> None:
        draining.set()
        core.parts.channels.drain()

    async with trio.open_nursery() as nursery:
        await nursery.start(_drain_on_signal, drain, before_draining, log)
        nursery.start_soon(endpoint.run, draining)
        keep_house(nursery, settings, core.parts, log)
        if who.issuer is not None:
            nursery.start_soon(who.issuer.run)
        async with trio.open_nursery() as serving:
            await serving.start(lambda task_status: edge.serve(
                listeners, draining=draining, task_status=task_status))  # fmt: skip
            _spare_the_collector()
            log.info("listening", host=settings.host, port=port)
            on_listening(port)
            if berth is not None:
                nursery.start_soon(berth.run, metrics.render)
        abandoned = await core.system.drain(settings.grace_seconds)
        log.info("drained", abandoned=abandoned)
        nursery.cancel_scope.cancel()


def _spare_the_collector() -> None:
    """Look for cycles seldom, and never again in what was made for good: some 8% of the CPU."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


async def _listen(settings: Settings) -> list[socket.socket]:
    try:
        return await open_listeners(settings.host, settings.port)
    except OSError as error:
        raise OperatorError(
            f"cannot listen on {settings.host}:{settings.port}: {error}; choose another --port"
        ) from None


def _edge_limits(settings: Settings) -> EdgeLimits:
    return EdgeLimits(
        connections=settings.max_connections,
        body_bytes=settings.max_body_bytes,
        payload_bytes=settings.max_payload_bytes,
        file_bytes=settings.max_file_mb * MEGABYTE,
        grace_seconds=settings.grace_seconds,
        websocket=WebSocketLimits(message_bytes=settings.max_body_bytes),
    )


async def _drain_on_signal(
    drain: Callable[[], None],
    before: Callable[[], None] | None,
    log: Log,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    async def drain_after(before: Callable[[], None]) -> None:
        await trio.to_thread.run_sync(before, abandon_on_cancel=True)
        drain()

    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async with trio.open_nursery() as nursery:
            async for number in signals:
                log.info("draining", signal=signal.Signals(number).name)
                if before is None:
                    drain()
                else:
                    nursery.start_soon(drain_after, before)
                    before = None
