"""For the tests of programs that use PxBox: a real broker, and people who answer by a script.

```python
with open_broker() as broker, broker.responder("alice", {"city": "Oslo"}):
    with broker.client("my-program") as px:
        assert px.ask({"type": "object"}, to="alice") == {"city": "Oslo"}
```
"""

from pxbox.testing.broker import BrokerFailed, TestBroker, open_broker
from pxbox.testing.responder import LEAVE, Decline, Responder, in_turn

__all__ = ["LEAVE", "BrokerFailed", "Decline", "Responder", "TestBroker", "in_turn", "open_broker"]
