"""The figures of a running broker, read from its parts (see `observe.Metrics`)."""

from __future__ import annotations

from collections.abc import Iterator

from actors import System
from pxbox.behaviors.relay import Relay
from pxbox.edge import Edge
from pxbox.observe import Reading
from pxbox.postgres.journal import PostgresJournal
from pxbox.service.core import Parts
from pxbox.service.flow_figures import FlowFigures
from pxbox.service.reach import Deliveries
from pxbox.ws.endpoint import Endpoint


def gauge(name: str, help: str, value: float, **labels: str) -> Reading:
    return Reading(f"pxbox_{name}", help, "gauge", value, tuple(labels.items()))


def counter(name: str, help: str, value: float, **labels: str) -> Reading:
    return Reading(f"pxbox_{name}", help, "counter", value, tuple(labels.items()))


def actor_readings(system: System) -> Iterator[Reading]:
    for kind, stats in system.stats().items():
        yield gauge("actors_resident", "Activations in memory.", stats.resident, kind=kind)
        yield gauge("actors_active", "Turns being run.", stats.active, kind=kind)
        yield gauge("mailbox_messages", "Messages waiting.", stats.queued, kind=kind)
        yield gauge("mailbox_deepest", "Messages in the fullest mailbox.", stats.deepest, kind=kind)
        yield counter("actor_turns", "Turns ended.", stats.turns, kind=kind)
        yield counter("actor_crashes", "Activations dropped by a fault.", stats.crashes, kind=kind)
        yield counter("actor_refused_full", "Refused by a full mailbox.", stats.refused_full,
                      kind=kind)  # fmt: skip


def journal_readings(journal: PostgresJournal) -> Iterator[Reading]:
    stats = journal.stats
    yield counter("commits", "Commits sent to the database.", stats.commits)
    yield counter("commit_batches", "Transactions they went in.", stats.batches)
    yield gauge("commit_batch_largest", "Most commits in one transaction.", stats.largest_batch)
    yield gauge("commit_queue", "Commits waiting for the next batch.", journal.queued())
    yield counter("commit_busy_seconds", "Time the writer was writing.", stats.busy_seconds)
    yield counter("commits_unknown", "Commits whose outcome was lost.", stats.unknown)
    for guard in ("key", "version", "time", "fence"):
        lost = stats.conflicts.get(guard, 0)
        yield counter("guards_failed", "Commits that a guard refused.", lost, guard=guard)


def edge_readings(edge: Edge, endpoint: Endpoint) -> Iterator[Reading]:
    stats = edge.stats
    yield gauge("connections", "Open connections.", stats.connections)
    yield gauge("websockets", "Open WebSockets.", stats.websockets)
    yield counter("connections_accepted", "Connections accepted.", stats.accepted_total)
    yield counter("connections_turned_away", "Refused: too many.", stats.turned_away_total)
    yield counter("connection_faults", "Faults on connections.", stats.faults_total)
    yield gauge("outbox_bytes", "Bytes waiting for WebSocket readers.", endpoint.outbox_bytes())


def relay_readings(relay: Relay) -> Iterator[Reading]:
    stats = relay.stats()
    yield counter("events_appended", "Events appended to the hot windows.", stats.appended)
    yield counter("gaps_filled", "Hot windows filled from the log.", stats.gaps_filled)
    yield counter("windows_reseeded", "Hot windows made anew.", stats.reseeded)
    yield counter("batches_swept", "Batches relayed by the sweeper.", stats.swept)
    yield counter("batches_left", "Batches left to the sweepers.", stats.dropped)
    yield gauge("event_lag_seconds", "From commit to hot window, for the last batch appended.",
                stats.lag_seconds)  # fmt: skip
    yield gauge("unrelayed_age_seconds", "Age of the oldest batch known here that is not relayed.",
                stats.oldest_unrelayed_seconds)  # fmt: skip


def delivery_readings(deliveries: Deliveries) -> Iterator[Reading]:
    yield counter("requests_reached", "Requests that got to somebody who is asked, by this broker.",
                  deliveries.first)  # fmt: skip
    yield gauge("requests_unreached", "Open for a minute and got to nobody, of the newest "
                "10,000; each broker counts the same.", deliveries.unreached)  # fmt: skip


def flow_readings(figures: FlowFigures) -> Iterator[Reading]:
    for kind, states in figures.counts.items():
        for state, n in states.items():
            yield gauge("flows", "Flows that are not over; each broker counts all of them.", n,
                        kind=kind, state=state)  # fmt: skip
    yield counter("flow_replays", "Flows whose record a worker read, to go on by replaying it.",
                  figures.replays)  # fmt: skip


def readings(
    system: System, journal: PostgresJournal, relay: Relay, parts: Parts
) -> Iterator[Reading]:
    """Every figure of the core, as of now."""
    yield from actor_readings(system)
    yield from journal_readings(journal)
    yield from relay_readings(relay)
    yield from delivery_readings(parts.deliveries)
    yield from flow_readings(parts.flow_figures)
