"""What `pxbox doctor` looks at in PostgreSQL and in Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

from pxbox.auth.keys import KEY_FILE, fingerprint, signing_secret
from pxbox.cli.check import Check, fine, problem, warning
from pxbox.cli.servers import run_asyncio
from pxbox.embedded import ServerFailed
from pxbox.embedded.binaries import postgres_programs, valkey_program
from pxbox.postgres.probe import DatabaseFacts, DatabaseUnreachable
from pxbox.postgres.probe import probe as probe_database
from pxbox.settings import OperatorError, Settings
from pxbox.streams.probe import RedisFacts, RedisUnreachable
from pxbox.streams.probe import probe as probe_redis

PROBE_SECONDS = 5.0
FIRST_POSTGRES = 140_000
FIRST_REDIS = (6, 2)
MEMORY_SCHEME = "memory://"
NEARLY_FULL = 0.8
NOTED_SKEW = timedelta(seconds=2)
# As much as tokens allow for (pxbox.auth.tokens.LEEWAY).
WRONG_SKEW = timedelta(seconds=10)


def database_checks(settings: Settings, url: str | None) -> Iterator[Check]:
    """Whether the database is there, and safe to keep answers in."""
    if url is None:
        yield _embedded("database", "PostgreSQL", postgres_programs)
        return
    try:
        facts = run_asyncio(probe_database(url, PROBE_SECONDS))
    except DatabaseUnreachable as error:
        yield problem(
            "database",
            f"PostgreSQL cannot be reached: {error}",
            "See that it runs, that --database-url names it, and that it lets this user in.",
        )
        return
    yield from judge_database(settings, facts)


def judge_database(settings: Settings, facts: DatabaseFacts) -> Iterator[Check]:
    """What to think of a database that answers."""
    yield _database(facts)
    yield _durability(facts)
    yield _migrations(facts)
    yield from _one_secret(settings, facts)
    yield _clock(facts)


def redis_checks(url: str | None) -> Iterator[Check]:
    """Whether Redis is there, and fit to hold the window of events."""
    if url is None:
        yield _embedded("redis", "Valkey", valkey_program)
        return
    if url.startswith(MEMORY_SCHEME):
        yield fine("redis", "none: this process keeps the window of events, and must be alone")
        return
    try:
        facts = run_asyncio(probe_redis(url, PROBE_SECONDS))
    except RedisUnreachable as error:
        yield problem(
            "redis",
            f"Redis cannot be reached: {error}",
            "See that it runs, that --redis-url names it, and that it lets this user in. Until "
            "then events come later; nothing is lost.",
        )
        return
    yield from judge_redis(facts)


def judge_redis(facts: RedisFacts) -> Iterator[Check]:
    """What to think of a Redis that answers."""
    yield _redis(facts)
    yield _memory(facts)


def _embedded(name: str, server: str, program: Callable[[], object]) -> Check:
    try:
        program()
    except ServerFailed as error:
        return problem(name, error.reason, error.advice)
    return fine(name, f"the embedded {server} is not running; `pxbox serve` starts it")


def _database(facts: DatabaseFacts) -> Check:
    name = f"PostgreSQL {facts.version}"
    if facts.version_number < FIRST_POSTGRES:
        return problem("database", f"{name} is too old", "Use PostgreSQL 14 or later.")
    if facts.encoding != "UTF8":
        return problem(
            "database",
            f"{name} keeps this database in {facts.encoding}",
            "Make one with: create database ... encoding 'UTF8' template template0.",
        )
    if facts.read_only:
        return problem("database", f"{name} is read-only here", "Name the primary, not a replica.")
    if not facts.may_create and facts.pending:
        return problem(
            "database",
            f"this user may not make tables in {name}",
            "Grant it create on the schema, or run `pxbox migrate` as a user who may.",
        )
    return fine("database", f"{name} answers in {facts.round_trip.total_seconds() * 1000:.0f} ms")


def _durability(facts: DatabaseFacts) -> Check:
    unsafe = {
        "synchronous_commit": facts.synchronous_commit == "off",
        "fsync": not facts.fsync,
        "full_page_writes": not facts.full_page_writes,
    }
    off = [setting for setting, is_off in unsafe.items() if is_off]
    if off:
        return problem(
            "durability",
            f"{', '.join(off)}: off. A crash of that machine can lose answers that were "
            "acknowledged, or the whole database",
            "; ".join(f"alter system set {setting} = on" for setting in off)
            + "; select pg_reload_conf(). Look for it in the role's and the database's own "
            "settings too.",
        )
    return fine("durability", "synchronous_commit, fsync and full_page_writes are on")


def _migrations(facts: DatabaseFacts) -> Check:
    if facts.unknown:
        return problem(
            "migrations",
            f"the database is newer than this version of PxBox: it has {', '.join(facts.unknown)}",
            "Use the version that made it, or a later one.",
        )
    if facts.pending:
        return warning(
            "migrations",
            f"the database lacks {', '.join(facts.pending)}",
            "Run `pxbox migrate`, or start a broker, which does it.",
        )
    return fine("migrations", "the database has the shape that this version needs")


def _one_secret(settings: Settings, facts: DatabaseFacts) -> Iterator[Check]:
    """Two brokers with two secrets would refuse each other's tokens."""
    if facts.secret_fingerprint is None:
        yield fine("shared secret", "no broker has run on this database yet")
        return
    configured = settings.secret or settings.secret_file or settings.database_url
    if not configured and not (settings.data_dir / KEY_FILE).exists():
        yield problem(
            "shared secret",
            f"the database belongs to a secret, and {settings.data_dir} has none",
            f"Put the {KEY_FILE} that it was made with back into its place.",
        )
        return
    try:
        same = fingerprint(signing_secret(settings)) == facts.secret_fingerprint
    except OperatorError:
        # The check of the secret itself says why.
        return
    if same:
        yield fine("shared secret", "the database belongs to this secret")
    else:
        yield problem(
            "shared secret",
            "the database belongs to brokers with another secret than this one",
            "Give every broker on it the same PXBOX_SECRET or --secret-file.",
        )


def _clock(facts: DatabaseFacts) -> Check:
    ahead = facts.skew.total_seconds()
    apart = max(timedelta(), abs(facts.skew) - facts.round_trip)
    text = (
        f"the database's clock is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} ours"
    )
    hint = "Have both machines keep time by NTP: deadlines go by its clock, tokens by ours."
    if apart > WRONG_SKEW:
        return problem("clock", text, hint)
    if apart > NOTED_SKEW:
        return warning("clock", text, hint)
    return fine("clock", "the database's clock and ours agree")


def _redis(facts: RedisFacts) -> Check:
    if tuple(int(n) for n in facts.version.split(".")[:2] if n.isdigit()) < FIRST_REDIS:
        return problem(
            "redis", f"{facts.product} is too old", "Use Redis 6.2 or later, or any Valkey."
        )
    if facts.is_cluster:
        return problem(
            "redis",
            f"{facts.product} runs as a cluster",
            "Use one primary, with replicas if wanted.",
        )
    if facts.is_replica:
        return problem(
            "redis", f"{facts.product} is a replica: nothing can be written", "Name the primary."
        )
    if not facts.scripts:
        return problem(
            "redis", f"this user may not run scripts on {facts.product}", "Allow it: acl ... +eval."
        )
    return fine("redis", f"{facts.product} answers")


def _memory(facts: RedisFacts) -> Check:
    """A full Redis loses nothing (E2), whatever its policy; one that refuses to write is slow."""
    used, limit = facts.used_memory_bytes / 1024**2, facts.max_memory_bytes / 1024**2
    if not limit:
        return fine("redis memory", f"{used:.0f} MiB used, without a limit of its own")
    text = f"{used:.0f} of {limit:.0f} MiB used, then {facts.max_memory_policy}"
    if facts.max_memory_policy == "noeviction" and used > NEARLY_FULL * limit:
        return warning(
            "redis memory",
            text,
            "Raise maxmemory: while Redis refuses to write, events come from the database, later.",
        )
    return fine("redis memory", text)
