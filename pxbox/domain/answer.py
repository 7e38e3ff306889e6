"""Whether a value satisfies a schema, and every place where it does not.

The validator holds the event loop while it runs, so before it is asked, `plan_verdict` and
`plan_listing` say from the cost of the schema whether it may be asked here or only in a process
that can be killed (X4).
"""

from __future__ import annotations

from enum import Enum

from jsonschema_rs import ValidationError, ValidationErrorKind, Validator

from pxbox.domain.answer_messages import UNLISTED, field_error
from pxbox.domain.schema_cost import Cost
from pxbox.model.errors import FieldError

MAX_ERRORS = 100
"""Source: schemas/limits.json, `errorsReturned`."""
INLINE_NS = 20_000_000
"""What may be spent inside the broker at worst: a fifth of the 100 ms of X4, for a machine that is
slower, or busier, than the one that the costs were measured on."""


class Plan(Enum):
    INLINE = "inline"
    PROCESS = "process"


def plan_verdict(cost: Cost, payload_bytes: int) -> Plan:
    """Say where to ask whether a value of this JSON size is valid."""
    inline = cost.bounded and cost.verdict.at(payload_bytes) <= INLINE_NS
    return Plan.INLINE if inline else Plan.PROCESS


def plan_listing(cost: Cost, payload_bytes: int) -> Plan:
    """Say where to ask for all errors of a value of this JSON size."""
    inline = cost.bounded and cost.listing.at(payload_bytes) <= INLINE_NS
    return Plan.INLINE if inline else Plan.PROCESS


def check(validator: Validator, value: object) -> list[FieldError]:
    """Return every error of `value`, as msgspec decodes it; none if it is valid.

    At most MAX_ERRORS: in the order of their places in the value, and for one place in that of
    their keywords. Takes as long as it takes: see `plan_listing`.
    """
    return [] if validator.is_valid(value) else list_errors(validator, value)


def list_errors(validator: Validator, value: object) -> list[FieldError]:
    """Return the errors of a value that is known not to be valid; never none."""
    found = {_site(error): error for error in validator.iter_errors(value)}
    errors = dict.fromkeys(field_error(found[site]) for site in sorted(found)[: 4 * MAX_ERRORS])
    return list(errors)[:MAX_ERRORS] or [UNLISTED]


def first_error(validator: Validator, value: object) -> FieldError:
    """Return one error of a value that is known not to be valid, at a fraction of the cost."""
    try:
        validator.validate(value)
    except ValidationError as error:
        return field_error(error)
    return UNLISTED


_Token = tuple[int, int, str]


def _site(error: ValidationError) -> tuple[tuple[_Token, ...], tuple[_Token, ...], str]:
    """Return what tells errors apart and sorts them: first by the place in the value."""
    kind = error.kind
    name = kind.property if isinstance(kind, ValidationErrorKind.Required) else ""
    return _tokens(error.instance_path), _tokens(error.schema_path), name


def _tokens(path: list[str | int]) -> tuple[_Token, ...]:
    return tuple((0, part, "") if isinstance(part, int) else (1, 0, part) for part in path)
