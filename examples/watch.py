"""Watch an inbox: print every event of the entity that a token acts as, until interrupted.

    python examples/watch.py TOKEN HANDLE [ws://127.0.0.1:8080/v1/ws]

After a cut it connects again and resumes where it was: nothing is missed, nothing comes twice.
"""

from __future__ import annotations

import json
import sys

import trio
from trio_websocket import ConnectionClosed, HandshakeError, WebSocketConnection, open_websocket_url

URL = "ws://127.0.0.1:8080/v1/ws"


async def ask(socket: WebSocketConnection, frame: dict[str, object]) -> dict[str, object]:
    """Send a frame and return the answer to it."""
    await socket.send_message(json.dumps(frame))
    while True:
        answer = json.loads(await socket.get_message())
        if answer.get("id") == frame["id"]:
            return answer


async def watch(token: str, handle: str, url: str) -> None:
    position: dict[str, object] | None = None
    while True:
        try:
            async with open_websocket_url(
                url, extra_headers=[("Authorization", f"Bearer {token}")]
            ) as socket:
                me = await ask(socket, {"type": "cmd", "id": "me", "op": "getEntity",
                                        "data": {"id": handle}})  # fmt: skip
                channel = f"entity:{me['data']['id']}"
                begin = {"type": "resume", **position} if position else {"type": "subscribe"}
                joined = await ask(socket, {**begin, "id": "watch", "channel": channel})
                print(f"watching {channel} from {joined['seq']}", flush=True)
                position = position or {"epoch": joined["epoch"], "since": joined["seq"]}
                while True:
                    message = json.loads(await socket.get_message())
                    if message["type"] == "event":
                        position["since"] = message["seq"]
                        event = message["data"]
                        print(message["seq"], event["type"], event.get("requestId", ""),
                              event.get("title") or "", flush=True)  # fmt: skip
        except (ConnectionClosed, HandshakeError, OSError) as error:
            print(f"disconnected ({error!r}); trying again", file=sys.stderr)
            await trio.sleep(1)


if __name__ == "__main__":
    trio.run(watch, sys.argv[1], sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else URL)
