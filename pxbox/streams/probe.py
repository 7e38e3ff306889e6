"""What a Redis or Valkey is like, for `pxbox doctor`. Changes nothing there."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError


class RedisUnreachable(Exception):
    """No answer that could be used; the message says why, without the URL's password."""


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """One look at a server.

    `version` is the version of Redis that it speaks like, `product` its own name and version.
    `max_memory_bytes` 0 is no limit of its own. `scripts` says whether this user may run scripts.
    """

    version: str
    product: str
    used_memory_bytes: int
    max_memory_bytes: int
    max_memory_policy: str
    is_replica: bool
    is_cluster: bool
    scripts: bool


async def probe(url: str, timeout: float) -> RedisFacts:
    """Look at the server within `timeout` seconds. Raises RedisUnreachable."""
    try:
        client = Redis.from_url(url, decode_responses=True)
    except ValueError:
        # Its text may repeat the URL.
        raise RedisUnreachable("its URL is not one that can be used") from None
    try:
        async with asyncio.timeout(timeout):
            found: dict[str, Any] = await client.info("everything")
            return _facts(found, await _runs_scripts(client))
    except TimeoutError:
        raise RedisUnreachable("it does not answer in time") from None
    except (RedisError, OSError) as error:
        raise RedisUnreachable(str(error)) from None
    finally:
        await client.aclose()


async def _runs_scripts(client: Redis) -> bool:
    try:
        return bool(await client.eval("return 1", 0))
    except RedisError:
        return False


def _facts(found: dict[str, Any], scripts: bool) -> RedisFacts:
    version = str(found.get("redis_version", "0"))
    valkey = found.get("valkey_version")
    return RedisFacts(
        version=version,
        product=f"Valkey {valkey}" if valkey else f"Redis {version}",
        used_memory_bytes=int(found.get("used_memory", 0)),
        max_memory_bytes=int(found.get("maxmemory", 0)),
        max_memory_policy=str(found.get("maxmemory_policy", "noeviction")),
        is_replica=found.get("role") == "slave",
        is_cluster=found.get("redis_mode") == "cluster" or found.get("server_mode") == "cluster",
        scripts=scripts,
    )
