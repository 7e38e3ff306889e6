"""How long the client waits for what, in seconds."""

from __future__ import annotations

# For the answer to a WebSocket's handshake.
HANDSHAKE_SECONDS = 10.0
# A command waits so long for the first WebSocket, then goes by REST.
FIRST_SECONDS = 3.0
# A connection that lasted less did not do any good: the next try waits longer still.
STEADY_SECONDS = 5.0
# A quiet connection is asked for a sign of life, and given up where none comes.
QUIET_SECONDS = 20.0
PONG_SECONDS = 10.0
# A peer that does not read, or a path that leads nowhere, holds up no goodbye for longer.
LEAVE_SECONDS = 2.0
# An event that a heartbeat has told of, and that has not come by then, is asked for.
LATE_SECONDS = 5.0
# Acknowledgements are told this often at most.
ACK_SECONDS = 0.5
# A channel that was away for so long is looked at in another way.
AWAY_SECONDS = 5.0
# A long poll; the contract allows 60.
POLL_SECONDS = 25
# Where there is no WebSocket, an inbox or a flow is read again and again.
RELOAD_SECONDS = 5.0
# For a REST reply, beyond what a long poll may take.
REPLY_SECONDS = 30.0
# For the answer to an upload, once all has been sent: the broker may have to read it all again.
KEPT_SECONDS = 120.0
# The contract allows a membership to be this old, and a little more for the way.
MEMBERSHIP_SECONDS = 2.5
