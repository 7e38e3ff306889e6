"""The hot window of each channel: in Redis, or in this process alone."""

from __future__ import annotations

from pxbox.streams.memory import MemoryStreams
from pxbox.streams.redis import RedisStreams

OpenStreams = MemoryStreams | RedisStreams


def open_streams(url: str, epoch: str) -> OpenStreams:
    """The streams at `url`; `memory://` for those of this process."""
    return MemoryStreams(epoch) if url.startswith("memory:") else RedisStreams(url, epoch)
