"""The same as `tests/described/test_openapi.py` with much more of chance, other each time.

Run it by `python -m pytest tests/long/test_openapi.py`; what fails is shown as a call of curl.
"""

from __future__ import annotations

import random
from typing import Any

from schemathesis import Case

from tests.brokers import Broker
from tests.described.conftest import world as world
from tests.described.running import check, described
from tests.described.world import World

schema = described(examples=200, seed=random.SystemRandom().randrange(2**32))


@schema.parametrize()
def test_a_call_is_answered_as_the_document_says(
    case: Case[Any], module_broker: Broker, world: World
) -> None:
    check(case, module_broker, world)
