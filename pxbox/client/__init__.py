"""The client: ask people and bots for data, and answer them.

It runs on trio and on asyncio, and imports nothing of the broker but its model.
"""

from pxbox.client import errors
from pxbox.client.client import AsyncPxBox
from pxbox.client.requests import Answer, RequestHandle

__all__ = ["Answer", "AsyncPxBox", "RequestHandle", "errors"]
