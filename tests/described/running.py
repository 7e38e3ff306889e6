"""Schemathesis on the document as the broker serves it, and one call of it."""

from __future__ import annotations

from typing import Any

import msgspec
import schemathesis
from schemathesis import Case
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.schemas import OpenApiSchema

from pxbox.rest.openapi import bundled
from tests.brokers import REPLY_SECONDS, Broker
from tests.contract.documents import Json
from tests.described.cases import place
from tests.described.expected import unexplained
from tests.described.world import World

# `not_supported` (501) is what the contract has for what it names and is not built yet.
CHECKS: Json = {
    "not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx", "501"]},
    # Valid by its schema, and still refused: by what is so (409, 410), by what it means (422).
    "positive_data_acceptance": {
        "expected-statuses": ["2xx", "3xx", "401", "403", "404", "409", "410", "422", "501"]
    },
}
DOCUMENT: Json = msgspec.json.decode(bundled("openapi.json"))


def described(examples: int, seed: int) -> OpenApiSchema:
    """The document's operations: all that its examples and bounds give, and so many cases of chance
    for each, the same for the same seed."""
    generation = {
        "deterministic": True,
        "max-examples": examples,
        "no-shrink": True,
        "database": "none",
        # NUL is refused everywhere, which no schema says (S9); other tests send it.
        "allow-x00": False,
    }
    config = SchemathesisConfig.from_dict(
        {
            "seed": seed,
            "checks": CHECKS,
            "generation": generation,
            # A busy machine is no fault.
            "request-timeout": REPLY_SECONDS,
            "suppress-health-check": ["all"],
        }
    )
    return schemathesis.openapi.from_dict(DOCUMENT, config=config)


def check(case: Case[Any], broker: Broker, world: World) -> None:
    """Make the call and hold its answer to the document. Raises FailureGroup."""
    place(case, world)
    headers = world.caller(case.operation.path)
    response = case.call(broker.url, headers=headers)
    try:
        case.validate_response(
            response,
            headers=headers,
            transport_kwargs={"base_url": broker.url, "headers": headers},
        )
    except FailureGroup as group:
        failures = unexplained(group.exceptions, case, response)
        if failures:
            raise FailureGroup(failures) from None
