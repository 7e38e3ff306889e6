"""What `fanout` and `replay` have in common: one run of one server, and rounds that take turns."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import trio

from bench import table
from bench.crowd_load import CrowdJob, CrowdOutcome
from bench.crowd_servers import SERVERS, Running
from bench.installed import MissingPeer
from bench.processes import Usage, others, running, usage
from bench.stack import Stack

SETTLE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One measured run. CPU in cores; `idle_kb` is what a connection took before any event."""

    outcome: CrowdOutcome
    server_cpu: float
    store_cpu: float
    other_cpu: float
    idle_kb: float


async def measure(stack: Stack, server: str, job: CrowdJob) -> Sample:
    """One run of one server, freshly started. Raises MissingPeer."""
    async with SERVERS[server](stack, job.readers) as at:
        await stack.checkpoint()
        empty = usage(at.pid).rss_bytes
        text = msgspec.json.encode(msgspec.structs.replace(job, place=at.place))
        async with running("bench.crowd_load", text) as client:
            idle = 0.0
            if not job.missed:
                await client.line()
                await trio.sleep(SETTLE_SECONDS if job.readers > 1000 else 0.0)
                idle = (usage(at.pid).rss_bytes - empty) / job.readers / 1e3
                await client.say(b"go")
            await client.line()
            before = usages(at)
            await client.line()
            after = usages(at)
            outcome = msgspec.json.decode(await client.line(), type=CrowdOutcome)
    server_cpu, store_cpu, other_cpu = (
        (b.cpu_seconds - a.cpu_seconds) / outcome.seconds
        for a, b in zip(before, after, strict=True)
    )
    return Sample(outcome, server_cpu, store_cpu, other_cpu, idle)


def usages(at: Running) -> tuple[Usage, Usage, Usage]:
    stores = Usage(sum(usage(pid).cpu_seconds for pid in at.stores), 0)
    return usage(at.pid), stores, others()


async def take_turns(
    stack: Stack, servers: list[str], rounds: int, job: CrowdJob, what: str
) -> tuple[dict[str, list[Sample]], dict[str, str]]:
    """The samples of each server; and why there are none of those that are not here."""
    samples: dict[str, list[Sample]] = {}
    missing: dict[str, str] = {}
    for turn in range(rounds):
        for server in servers:
            if server in missing:
                continue
            try:
                sample = await measure(stack, server, job)
            except MissingPeer as reason:
                missing[server] = str(reason)
                continue
            samples.setdefault(server, []).append(sample)
            table.progress(
                f"{what}, round {turn + 1} of {rounds}, {server}: "
                f"{sample.outcome.rate:,.0f} events/s{table.disturbed(sample.other_cpu)}"
            )
    return samples, missing
