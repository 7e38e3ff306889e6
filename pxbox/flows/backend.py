"""Where a run's checkpoints go, and whose clock counts: a broker, or a test's sandbox."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from pxbox.model.wire.flows import Checkpointed


class Backend(Protocol):
    def now(self) -> datetime: ...

    async def pause(self, seconds: float) -> None:
        """Let time go by before something is tried again."""
        ...

    async def checkpoint(self, frame: dict[str, Any]) -> Checkpointed:
        """Make it durable. Raises PxBoxErrors; repeating the same frame is safe."""
        ...
