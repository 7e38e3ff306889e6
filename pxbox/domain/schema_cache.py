"""What is known of schemas by the hash of their content, so that each is admitted once."""

from __future__ import annotations

from collections import OrderedDict

from pxbox.domain.dialect import build_validator
from pxbox.domain.schema import AdmittedSchema, Compiled, compile_schema, compiles_quickly, weigh
from pxbox.domain.schema_document import Document
from pxbox.model.schema_errors import SchemaRefused

_WEIGHT_WITHOUT = 4_096


class SchemaCache:
    """The validators of admitted schemas, and the refusals of others.

    Bounded in number and in weight, an estimate of memory in bytes; the least recently used goes
    first. Nothing here takes more than some 20 ms: what takes longer to build is kept without a
    validator, and checked elsewhere.
    """

    def __init__(self, *, max_entries: int = 2_048, max_weight_bytes: int = 128 << 20) -> None:
        self._max_entries = max_entries
        self._max_weight_bytes = max_weight_bytes
        self._known: OrderedDict[str, Compiled | SchemaRefused] = OrderedDict()
        self._weight = 0

    def get(self, schema_hash: str) -> Compiled | None:
        """Return what is known of the schema; None if that is nothing.

        Raises the SchemaRefused that it was refused with.
        """
        known = self._known.get(schema_hash)
        if known is None:
            return None
        self._known.move_to_end(schema_hash)
        if isinstance(known, SchemaRefused):
            # A new one: an exception that is raised again grows by a traceback each time.
            raise type(known)(known.detail, errors=known.errors, **known.members)
        return known

    def admit(self, document: Document) -> Compiled:
        """Admit a light schema, once. Raises SchemaRefused, the same one each time."""
        compiled = self.get(document.hash)
        if compiled is None:
            try:
                compiled = compile_schema(document)
            except SchemaRefused as refusal:
                self.refuse(document.hash, refusal)
                raise
            self._keep(document.hash, compiled)
        return compiled

    def keep(self, document: Document, admitted: AdmittedSchema) -> Compiled:
        """Keep what was admitted elsewhere, with a validator if that is quickly built."""
        if admitted.cost.bounded and compiles_quickly(document):
            validator = build_validator(document.value, admitted.draft)
            compiled = Compiled(admitted, validator, weigh(document))
        else:
            compiled = Compiled(admitted, None, _WEIGHT_WITHOUT + len(document.canonical))
        self._keep(admitted.hash, compiled)
        return compiled

    def refuse(self, schema_hash: str, refusal: SchemaRefused) -> None:
        """Keep why a schema is refused. Not for what another try might answer differently."""
        self._keep(schema_hash, refusal)

    def _keep(self, schema_hash: str, known: Compiled | SchemaRefused) -> None:
        replaced = self._known.pop(schema_hash, None)
        self._weight += _weight(known) - (0 if replaced is None else _weight(replaced))
        self._known[schema_hash] = known
        while len(self._known) > self._max_entries or self._weight > self._max_weight_bytes:
            _, dropped = self._known.popitem(last=False)
            self._weight -= _weight(dropped)


def _weight(known: Compiled | SchemaRefused) -> int:
    if isinstance(known, Compiled):
        return known.weight_bytes
    texts = sum(len(error.pointer) + len(error.message) for error in known.errors)
    return _WEIGHT_WITHOUT + len(known.detail) + texts
