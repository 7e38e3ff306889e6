"""A real PostgreSQL and a real Valkey from wheels, under the data directory.

Never as root, never on the network, started again when they die, stopped with the broker; what a
killed broker left running is taken over by the next one on the same data directory.
"""

from pxbox.embedded.errors import DataDirInUse, ServerFailed
from pxbox.embedded.keeping import logged
from pxbox.embedded.servers import Servers, open_missing, open_servers, running_urls

__all__ = [
    "DataDirInUse",
    "ServerFailed",
    "Servers",
    "logged",
    "open_missing",
    "open_servers",
    "running_urls",
]
