"""What Schemathesis takes for a fault and is none: what a JSON Schema cannot say, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from schemathesis import Case
from schemathesis.core import NOT_SET
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.core.transport import Response
from schemathesis.openapi.checks import RejectedPositiveData

from tests.contract.documents import Json

# By code: whatever the operation.
REFUSED_ANYWHERE = {
    "invalid_cursor": "a cursor is any text; good is one that this list gave out",
    "number_out_of_range": "any JSON: integers of more than 64 bits are texts, by the README",
}
# By operation: `invalid_request` for more than one member, or one thing, can show.
REFUSED_BY = {
    "addMember": "whether it has members depends on the entity",
    "removeMember": "whether it has members depends on the entity",
    "openSession": "a kind is named once: of two items of one kind the versions may differ",
    "checkpointFlow": "a key is given once; and a session is named where a worker has the flow",
}
INTEGER_WITH_FRACTION = "Expected `int"
"""JSON Schema calls 3.0 an integer. The broker does not: see the README."""
JUDGED_ONE_BY_ONE = {"bulkCreateRequests", "updateInquiries"}
"""Each item has an outcome of its own, and the reply is 200."""


def unexplained(
    failures: Sequence[Exception], case: Case[Any], response: Response
) -> list[Failure]:
    """The failures that are none of those above."""
    return [
        one for one in failures if isinstance(one, Failure) and not _explained(one, case, response)
    ]


def _explained(failure: Failure, case: Case[Any], response: Response) -> bool:
    operation = case.operation.definition.raw["operationId"]
    if isinstance(failure, RejectedPositiveData) and response.status_code == 400:
        problem = _document(response)
        return (
            problem["code"] in REFUSED_ANYWHERE
            or (problem["code"] == "invalid_request" and operation in REFUSED_BY)
            or INTEGER_WITH_FRACTION in problem["detail"]
        )
    if isinstance(failure, AcceptedNegativeData):
        # No body at all is a valid one where a body may be left out.
        if operation in JUDGED_ONE_BY_ONE:
            return bool(_document(response)["failed"])
        return case.body is NOT_SET and not case.operation.body[0].is_required
    return False


def _document(response: Response) -> Json:
    document: Json = msgspec.json.decode(response.content)
    return document
