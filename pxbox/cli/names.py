"""Entities by the names that people know them by."""

from __future__ import annotations

from collections.abc import Iterable

from pxbox.client import AsyncPxBox, errors
from pxbox.model.ids import as_uuid

Names = dict[str, str]


async def names_of(px: AsyncPxBox, ids: Iterable[str | None]) -> Names:
    """The addresses of these entities, as far as the caller may see them; what is no entity's id
    is left out."""
    names = {}
    for id in sorted({id for id in ids if id and as_uuid(id)}):
        try:
            names[id] = (await px.entities.get(id)).address
        except errors.PxBoxError:
            # Whoever may read a request or a flow need not be allowed to read them.
            continue
    return names
