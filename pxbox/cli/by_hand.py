"""Answering a request at a terminal: claim, ask, look over, send; ask again for what is refused.

Who stops has what was typed kept as a draft, and is offered it the next time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pxbox.cli.calling import call
from pxbox.cli.editor import edit
from pxbox.cli.exits import CommandFailed, Exit
from pxbox.cli.files import upload_file
from pxbox.cli.form.marks import Known, to_mend
from pxbox.cli.form.question import SKIPPED
from pxbox.cli.form.sheet import Sheet
from pxbox.cli.form.walk import Walk
from pxbox.cli.prompts import Form
from pxbox.cli.review import called, say_errors, show
from pxbox.cli.show import mark_opened
from pxbox.cli.terminal import clean, note, note_prose
from pxbox.cli.times import shown
from pxbox.cli.where import Where
from pxbox.client import AsyncPxBox, errors
from pxbox.model import wire
from pxbox.model.decoding import decode_json
from pxbox.model.errors import FieldError
from pxbox.model.request import OPEN, Status

SEND, CHANGE, EDIT, STOP = "Send it", "Change something", "Edit it as JSON", "Stop, send nothing"
WHOLE = "All of it"
GO_ON, ANEW = "Go on with it", "Start anew"


def answer_by_hand(where: Where, id: str, editor: bool) -> int:
    """Have the person at the terminal answer, holding the claim meanwhile.

    A claim that was taken for this is given back when nothing was sent, and what was typed is kept
    as a draft.
    """
    request, claimed = call(where, lambda px: _claim(px, id))
    _introduce(request)
    draft = _Draft(request, lambda path: upload_file(where, id, path).id)
    try:
        _offer_draft(where, id, draft)
        if editor:
            draft.edit([])
        else:
            draft.ask(Known(draft.value))
        _finish(where, id, draft)
    except BaseException as reason:
        kept = _keep(where, id, draft)
        if claimed:
            _give_back(where, id)
        if not isinstance(reason, Stopped | KeyboardInterrupt):
            raise
        note(f"Nothing was sent.{kept}")
        return Exit.INTERRUPTED if isinstance(reason, KeyboardInterrupt) else Exit.PROBLEM
    note(f"Answered. {_left(where)}")
    return Exit.DONE


def due_first(where: Where) -> str:
    """The id of what is due first of all that the caller may answer now. Raises CommandFailed."""
    page = call(where, lambda px: px.inquiries(status=Status.PENDING, limit=1))
    if not page.items:
        raise CommandFailed(
            "Nothing waits for your answer that nobody has claimed. `pxbox inbox` lists all.",
            Exit.NOT_FOUND,
        )
    return page.items[0].id


def _left(where: Where) -> str:
    """How much waits still, and how to go on."""
    try:
        page = call(where, lambda px: px.inquiries(status=Status.PENDING, limit=1))
    except CommandFailed:
        # It was answered, which is what counts.
        return ""
    if not page.items:
        return "Nothing else waits for you."
    more = "" if page.total_exact else "+"
    return f"{page.total}{more} more for you; `pxbox answer` goes on with what is due first."


async def _claim(px: AsyncPxBox, id: str) -> tuple[wire.RequestDetail, bool]:
    """The request, claimed; and whether it was not the caller's before."""
    request = await px.requests.get(id)
    if request.status not in OPEN:
        raise CommandFailed(
            f"There is nothing to answer: the request is {request.status.lower()} already.",
            Exit.TOO_LATE if request.status is Status.EXPIRED else Exit.CONFLICT,
        )
    was_pending = request.status is Status.PENDING
    await px.requests.claim(id)
    await mark_opened(px, request)
    return request, was_pending


def _offer_draft(where: Where, id: str, draft: _Draft) -> None:
    """Let the person go on with what was kept for them, by this command or another program."""
    try:
        kept = call(where, lambda px: px.requests.draft(id))
    except CommandFailed:
        # There is none; or it cannot be read now, which is no reason not to answer.
        return
    asked = f"There is a draft of yours, kept {shown(kept.updated_at)}."
    if draft.form.choose(asked, [GO_ON, ANEW]) == GO_ON:
        draft.value = decode_json(bytes(kept.payload))


def _keep(where: Where, id: str, draft: _Draft) -> str:
    """Keep what was typed, if anything was, and say so."""
    if not draft.typed:
        return ""
    value = draft.unfinished
    try:
        call(where, lambda px: px.requests.keep_draft(id, value))
    except CommandFailed:
        return " A draft could not be kept."
    return " What you have typed is kept as a draft."


def _give_back(where: Where, id: str) -> None:
    try:
        call(where, lambda px: px.requests.release(id))
    except CommandFailed:
        # It lapses by itself.
        return


def _introduce(request: wire.RequestDetail) -> None:
    until = f", until {shown(request.deadline_at)}" if request.deadline_at else ""
    title = clean(request.title or "A request")
    note(f"{title}, asked by {clean(request.requestor)}{until}.")
    for text in (request.why, request.context):
        if text:
            note_prose(text)
    note("Ctrl-C stops and sends nothing.")


class _Draft:
    """The answer in the making."""

    def __init__(self, request: wire.RequestDetail, upload: Callable[[str], str]) -> None:
        self.sheet = Sheet(decode_json(bytes(request.schema_payload)))
        prefill = decode_json(bytes(request.prefill))
        self.value: Any = SKIPPED if prefill is None else prefill
        self.form = Form(upload)
        self._walk = Walk(self.sheet)
        self._at_first = self.value

    @property
    def unfinished(self) -> Any:
        """The answer as far as it is made."""
        given = self._walk.given.value
        return self.value if given is SKIPPED else given

    @property
    def typed(self) -> bool:
        """Whether anything of it is the person's."""
        return self.unfinished is not SKIPPED and self.unfinished != self._at_first

    def ask(self, known: Known) -> None:
        """Ask for what `known` says, then for whatever of it does not satisfy the schema."""
        while True:
            before = self.form.asked
            self._walk.known = known
            self.value = self.form.fill(self._walk.run())
            self._walk.given = Known()
            errors = self.sheet.errors(self.value)
            if not errors:
                return
            say_errors(self.sheet, self.value, errors)
            if self.form.asked == before:
                # None of the questions is about that: only the whole can mend it.
                self._go_on_as_json(errors)
                return
            known = to_mend(self.value, errors)

    def edit(self, errors: list[FieldError]) -> None:
        """Have the answer written in an editor, until it satisfies the schema."""
        while True:
            self.value = edit(self.sheet, self.value, errors)
            errors = self.sheet.errors(self.value)
            if not errors:
                return
            say_errors(self.sheet, self.value, errors)
            if self.form.choose("What now?", [EDIT, STOP]) == STOP:
                raise Stopped

    def mend(self, errors: list[FieldError]) -> None:
        """Ask again for what the broker has refused."""
        say_errors(self.sheet, self.value, errors)
        self.ask(to_mend(self.value, errors))

    def change(self) -> None:
        """Ask again for one part of the person's choosing."""
        asked = [pointer for pointer in self._walk.asked if pointer]
        places = {called(self.sheet, self.value, pointer): pointer for pointer in asked}
        chosen = self.form.choose("Which?", [*places, WHOLE])
        again = None if chosen == WHOLE else frozenset({places[chosen]})
        self.ask(Known(self.value, again))

    def _go_on_as_json(self, errors: list[FieldError]) -> None:
        if self.form.choose("No question is about that.", [EDIT, STOP]) == STOP:
            raise Stopped
        self.edit(errors)


class Stopped(Exception):
    """The person will not go on."""


def _finish(where: Where, id: str, draft: _Draft) -> None:
    """Show the answer until it is sent. Raises Stopped."""
    while True:
        show(draft.sheet, draft.value)
        choice = draft.form.choose("Send this answer?", [SEND, CHANGE, EDIT, STOP])
        if choice == STOP:
            raise Stopped
        if choice == CHANGE:
            draft.change()
        elif choice == EDIT:
            draft.edit([])
        elif _send(where, id, draft):
            return


def _send(where: Where, id: str, draft: _Draft) -> bool:
    """Whether it was accepted. What was refused has been asked for again; what did not get through
    can be sent again. Raises CommandFailed where no answer is wanted any more."""
    try:
        call(where, lambda px: px.requests.answer(id, draft.value))
    except errors.ValidationFailed as refused:
        draft.mend(refused.errors)
    except CommandFailed as failed:
        if failed.exit is not Exit.UNREACHABLE:
            raise
        note(str(failed))
    except KeyboardInterrupt:
        raise CommandFailed(
            f"Interrupted while sending. Whether it arrived, `pxbox show {id}` tells.",
            Exit.INTERRUPTED,
        ) from None
    else:
        return True
    return False
