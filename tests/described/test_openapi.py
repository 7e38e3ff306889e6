"""Every operation of the OpenAPI document against a live broker: what is asked, rightly or not, is
answered as the document says (X4, S9). `tests/long/test_openapi.py` asks more.

Schemathesis makes the calls, the same in each run: the document's examples, each bound of each
parameter and member from both sides, what is missing, of the wrong type or too much, methods that
are none, tokens that are none, and some of chance.
"""

from __future__ import annotations

from typing import Any

import httpx
from schemathesis import Case

from tests.brokers import NO_TLS, Broker
from tests.described.running import DOCUMENT, check, described
from tests.described.world import World

schema = described(examples=3, seed=1)


def test_the_document_is_the_one_that_the_broker_serves(module_broker: Broker) -> None:
    with httpx.Client(base_url=module_broker.url, verify=NO_TLS) as client:
        assert client.get("/openapi.json").json() == DOCUMENT


@schema.parametrize()
def test_a_call_is_answered_as_the_document_says(
    case: Case[Any], module_broker: Broker, world: World
) -> None:
    check(case, module_broker, world)
