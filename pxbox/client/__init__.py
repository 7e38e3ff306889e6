"""The client: ask people and bots for data, and answer them.

It runs on trio and on asyncio, and imports nothing of the broker but its model.
"""

from pxbox.client import errors
from pxbox.client.client import AsyncPxBox
from pxbox.client.events import (
    Event,
    FlowEvent,
    Gap,
    InboxEvent,
    MembershipEvent,
    Position,
    RequestEvent,
)
from pxbox.client.flows import FlowFailed, FlowHandle
from pxbox.client.inbox import Change, ChangeKind, Inbox
from pxbox.client.requests import Answer, RequestHandle
from pxbox.client.stream import EventStream
from pxbox.client.sync import PxBox

__all__ = [
    "Answer", "AsyncPxBox", "Change", "ChangeKind", "Event", "EventStream", "FlowEvent",
    "FlowFailed", "FlowHandle", "Gap", "Inbox", "InboxEvent", "MembershipEvent", "Position",
    "PxBox", "RequestEvent", "RequestHandle", "errors",
]  # fmt: skip
