"""Regular expressions in schemas: only those that match in linear time, and how dear each is.

"Linear" is in the length of the text; each character may still cost as many steps as the compiled
pattern has states, so the size of what it compiles to is what a pattern costs.
"""

from __future__ import annotations

import re
from functools import lru_cache

import jsonschema_rs

from pxbox.domain.dialect import MAX_PATTERN_BYTES, Draft, build_validator

SMALL_PATTERN_BYTES = 65_536
"""What a compiled pattern may take where it is built and run inside the broker itself."""
MAX_SMALL_TEXT = 1_024
"""Characters. A longer pattern is not tried here: reading it alone may take long."""
_SIZE_STEPS = (1_024, 4_096, 16_384, SMALL_PATTERN_BYTES)
# Whole escapes and classes are consumed first, so that only operators are left to be looked at.
_OPERATORS = re.compile(r"\\k<|\\[1-9]|\\.|\[(?:\\.|[^\]\\])*\]|\(\?<?[=!]", re.DOTALL)
_SYNTAX = jsonschema_rs.validator_for({"format": "regex"}, validate_formats=True)


class NotRegular(Exception):
    """The text is not a regular expression of ECMA-262 at all."""


class NotLinear(Exception):
    """A regular expression, but not one that can be matched in linear time within bounds.

    `reason` is the end of a sentence that begins with the pattern.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@lru_cache(maxsize=1_024)
def small_pattern_bytes(pattern: str) -> int | None:
    """Return an upper bound, within a factor of four, of what `pattern` compiles to.

    None where that is more than SMALL_PATTERN_BYTES, or where it does not compile at all.
    """
    if len(pattern) > MAX_SMALL_TEXT:
        return None
    return next((step for step in _SIZE_STEPS if _compiles(pattern, step)), None)


def check_pattern(pattern: str) -> None:
    """Return if `pattern` can be used.

    Raises NotRegular or NotLinear. The largest patterns take some 100 ms to compile.
    """
    if not _SYNTAX.is_valid(pattern):
        raise NotRegular
    if small_pattern_bytes(pattern) is None and not _compiles(pattern, MAX_PATTERN_BYTES):
        raise NotLinear(_reason(pattern))


def _compiles(pattern: str, limit_bytes: int) -> bool:
    try:
        build_validator({"pattern": pattern}, Draft.D2020_12, pattern_bytes=limit_bytes)
    except jsonschema_rs.ValidationError:
        return False
    return True


def _reason(pattern: str) -> str:
    operators = {match.group() for match in _OPERATORS.finditer(pattern)}
    if operators & {"(?=", "(?!", "(?<=", "(?<!"}:
        return "looks around, which cannot be matched in linear time"
    if any(re.match(r"\\(?:k<|[1-9])", operator) for operator in operators):
        return "refers back to a group, which cannot be matched in linear time"
    return (
        f"takes more than {MAX_PATTERN_BYTES >> 20} MiB when its repetitions are written out, or "
        "uses a class of characters that is not known"
    )
