"""Several broker processes behind one port, and what keeps them running.

The supervisor binds the port, owns the embedded servers, and starts one process per worker. It
takes no part in what they serve: while it is stopped, they go on. It imports none of the broker.
"""

from pxbox.supervisor.fleet import run

__all__ = ["run"]
