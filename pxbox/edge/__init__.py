"""The edge: one port, on which every connection speaks HTTP/1.1 until it becomes a WebSocket.

Each request head is parsed here by h11, bounded in size and time, before anything else sees it.
A WebSocket upgrade goes to `pxbox.ws.handover`, also as a later request of a kept-alive
connection; other upgrades and HTTP/2 are refused; everything else is fed to hypercorn's HTTP/1.1
protocol with the ASGI app behind it, which never sees any of those. TLS ends at a proxy.
"""

from __future__ import annotations

from pxbox.edge.host import HttpHost, OnError
from pxbox.edge.limits import EdgeLimits
from pxbox.edge.server import Edge, EdgeStats
from pxbox.listening import open_listeners

__all__ = ["Edge", "EdgeLimits", "EdgeStats", "HttpHost", "OnError", "open_listeners"]
