"""`pxbox answer`: answer a request, as a person or as a program."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from pxbox.cli.calling import call
from pxbox.cli.exits import CommandFailed, Exit
from pxbox.cli.fields import answer_of
from pxbox.cli.files import upload_file
from pxbox.cli.form.sheet import Sheet
from pxbox.cli.given import read_json
from pxbox.cli.rows import Id
from pxbox.cli.terminal import interactive, put_json
from pxbox.cli.where import NOWHERE, Switch, Where
from pxbox.model.decoding import decode_json


def answer(
    id: Id | None = None,
    /,
    *,
    field: Annotated[
        list[str] | None,
        Parameter(name=("--field", "-F"), metavar="NAME=VALUE", negative=(), show_default=False),
    ] = None,
    json: Annotated[str | None, Parameter(metavar="JSON", show_default=False)] = None,
    editor: Switch = False,
    where: Where = NOWHERE,
) -> int:
    """Answer a request; at a terminal without an id, what is due first of all that waits for you.

    At a terminal it asks for each part, shows the whole, and then sends it.

    A program gives the answer by -F or --json, and gets the response as JSON.

    Parameters
    ----------
    field
        One part of the answer, read by the schema's types: name=ana, address.city=Oslo, tags[]=a,
        note=@file (which is uploaded where a file is asked for), extra:='{"any": "JSON"}'.
    json
        The whole answer: JSON, @file, or @- for standard input.
    editor
        Write the answer as JSON in $EDITOR, then look over it.
    """
    if json is not None and field:
        raise CommandFailed("--json and -F exclude each other.", Exit.WRONG_CALL)
    if json is None and not field:
        return _by_hand(where, id, editor)
    if id is None:
        raise CommandFailed(
            "ID is missing: which request? `pxbox inbox` lists what waits.", Exit.WRONG_CALL
        )
    if editor:
        raise CommandFailed("--editor is for answering by hand, without -F.", Exit.WRONG_CALL)
    if json is not None:
        value = read_json(json, "answer")
    else:
        request = call(where, lambda px: px.requests.get(id))
        sheet = Sheet(decode_json(bytes(request.schema_payload)))
        value = answer_of(sheet, field or [], lambda path: upload_file(where, id, path).id)
    put_json(call(where, lambda px: px.requests.answer(id, value)))
    return Exit.DONE


def _by_hand(where: Where, id: str | None, editor: bool) -> int:
    if not interactive():
        raise CommandFailed(
            "Nobody can be asked: this is no terminal. Give the answer by -F name=value or by "
            "--json @file (@- for standard input).",
            Exit.WRONG_CALL,
        )
    # Late: programs do not need what draws questions.
    from pxbox.cli.by_hand import answer_by_hand, due_first

    return answer_by_hand(where, due_first(where) if id is None else id, editor)
