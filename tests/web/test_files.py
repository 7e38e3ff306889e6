"""Files in forms: chosen, dropped, uploaded, cut off, refused, kept, and fetched by who asked."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import FilePayload, Locator, Page, expect

from tests.web.conftest import CUT_OFF, Asker, Visit
from tests.web.line import line_to

Visiting = Callable[..., Visit]

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c4944415408d763f8cfc000000301010018dd8db00000000049454e44ae426082"
)
PDF = b"%PDF-1.4\n" + b"% nothing\n" * 50
CLAIM = {
    "title": "Your expenses",
    "type": "object",
    "required": ["receipt"],
    "properties": {
        "receipt": {"type": "string", "format": "pxbox-file", "title": "Receipt"},
        "photos": {
            "type": "array",
            "title": "Photos",
            "items": {"type": "string", "format": "pxbox-file"},
        },
        "note": {"type": "string", "title": "Note"},
    },
}
POLICY = {"maxFileMB": 2, "maxFiles": 3, "mime": ["image/*", "application/pdf"]}
# Slow enough to be looked at, quick enough to be waited for.
SLOWLY = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 200_000}
AT_ONCE = {**SLOWLY, "uploadThroughput": -1}


def file(name: str, mime: str, data: bytes) -> FilePayload:
    return {"name": name, "mimeType": mime, "buffer": data}


def place(page: Page, name: str) -> Locator:
    """The part of the form that takes these files."""
    return page.locator(".field", has=page.get_by_label(name)).last


def throttle(one: Visit, how: dict[str, Any]) -> None:
    devtools = one.context.new_cdp_session(one.page)
    devtools.send("Network.emulateNetworkConditions", how)


def test_files_are_chosen_and_dropped_and_fetched_by_who_asked(
    asker: Asker, visit: Visiting
) -> None:
    asking, person = asker.person(), asker.person()
    token = asker.broker.token(asking, entity=asking)
    made = asker.rest.post(
        "/v1/requests",
        json={"to": person, "schema": CLAIM, "filesPolicy": POLICY},
        headers={"authorization": f"Bearer {token}"},
    )
    request = made.json()["id"]
    one = visit(person, viewport={"width": 360, "height": 740})
    one.open(f"?id={request}")
    page = one.page
    receipt = place(page, "Receipt")
    expect(receipt).to_contain_text("Any image or PDF · at most 2 MB")
    page.get_by_label("Receipt").set_input_files(file("bill.pdf", "application/pdf", PDF))
    expect(receipt.get_by_role("listitem")).to_contain_text("bill.pdf")
    expect(receipt.get_by_role("status")).to_have_text("bill.pdf is uploaded")
    dropped = page.evaluate_handle(
        """bytes => {
          const carried = new DataTransfer()
          for (const name of ['a.png', 'b.png']) {
            carried.items.add(new File([new Uint8Array(bytes)], name, {type: 'image/png'}))
          }
          return carried
        }""",
        list(PNG),
    )
    photos = place(page, "Photos")
    photos.locator(".files").dispatch_event("drop", {"dataTransfer": dropped})
    expect(photos.get_by_role("listitem")).to_have_count(2)
    # The picture is drawn: the policy of the page lets it.
    picture = photos.locator("img").first
    expect(picture).to_have_js_property("naturalWidth", 1)
    one.check_access()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    photos.get_by_role("button", name="Remove b.png").click()
    expect(page.get_by_label("Photos")).to_be_focused()
    page.get_by_role("button", name="Send answer").click()
    page.get_by_role("heading", name="Answer sent").wait_for()

    two = visit(asking)
    two.open(f"?view=mine&id={request}")
    with two.page.expect_download() as download:
        two.page.get_by_role("link", name="bill.pdf").click()
    assert download.value.suggested_filename == "bill.pdf"
    assert download.value.path().read_bytes() == PDF
    expect(two.page.get_by_role("link", name="a.png")).to_be_visible()
    expect(two.page.get_by_role("link", name="b.png")).to_have_count(0)
    two.check_access()


def test_what_the_request_does_not_admit_is_said_beside_its_field(
    asker: Asker, visit: Visiting
) -> None:
    """Before the upload where the policy tells it, after it where only the bytes do."""
    person = asker.person()
    request = asker.ask(person, CLAIM, filesPolicy=POLICY)
    one = visit(person)
    one.expected = ("/draft", "/content")
    one.open(f"?id={request}")
    page = one.page
    field, chosen = page.get_by_label("Receipt"), place(page, "Receipt")
    signed: list[str] = []
    page.on("request", lambda call: signed.append(call.url) if "/sign" in call.url else None)
    field.set_input_files(file("film.pdf", "application/pdf", PDF + bytes(2**21)))
    expect(chosen).to_contain_text("Too large: it has 2 MB, and at most 2 MB are taken.")
    field.set_input_files(file("notes.txt", "text/plain", b"hello"))
    expect(chosen).to_contain_text("It is text/plain; what is asked for is any image or PDF.")
    assert signed == []
    field.set_input_files(file("photo.png", "image/png", PDF * 2000))
    expect(chosen).to_contain_text("Its name says PNG, but what is in it is PDF.")
    one.check_access()
    page.get_by_role("button", name="Send answer").click()
    summary = page.get_by_role("alert")
    expect(summary).to_contain_text("Receipt: A file was not uploaded.")
    summary.get_by_role("link", name="Receipt").click()
    expect(field).to_be_focused()
    chosen.get_by_role("button", name="Remove photo.png").click()
    page.get_by_role("button", name="Send answer").click()
    expect(summary).to_contain_text("Receipt: Please fill this in.")
    photos = [file(f"{n}.png", "image/png", PNG) for n in range(4)]
    page.get_by_label("Photos").set_input_files(photos)
    expect(place(page, "Photos")).to_contain_text("No more than 3 files are taken.")
    expect(place(page, "Photos").locator("li:not(.bad)")).to_have_count(3)


def test_an_upload_that_is_cut_off_goes_on_by_itself(asker: Asker, visit: Visiting) -> None:
    person = asker.person()
    request = asker.ask(person, CLAIM, filesPolicy=POLICY)
    with line_to(asker.broker.url) as line:
        one = visit(person, through=line.url)
        one.expected = CUT_OFF
        one.open(f"?id={request}")
        page = one.page
        chosen = place(page, "Receipt")
        throttle(one, SLOWLY)
        page.get_by_label("Receipt").set_input_files(
            file("bill.pdf", "application/pdf", PDF + bytes(1_900_000))
        )
        expect(chosen.locator("progress")).to_have_attribute("value", re.compile(r"0\.[1-9]"))
        line.cut()
        expect(chosen.locator(".error")).to_have_count(1)
        expect(chosen.get_by_role("button", name="Try again bill.pdf")).to_be_visible()
        expect(page.locator(".live.waiting")).to_be_visible()
        one.check_access()
        throttle(one, AT_ONCE)
        line.mend()
        # Not by the button: once the page is live again.
        expect(chosen.get_by_role("status")).to_have_text("bill.pdf is uploaded", timeout=30_000)
        page.get_by_role("button", name="Send answer").click()
        page.get_by_role("heading", name="Answer sent").wait_for()
    assert list(asker.answer(request)) == ["receipt"]


def test_a_file_on_its_way_can_be_waited_for_and_cancelled_with_the_keyboard(
    asker: Asker, visit: Visiting
) -> None:
    person = asker.person()
    request = asker.ask(person, CLAIM, filesPolicy=POLICY)
    one = visit(person)
    one.open(f"?id={request}")
    page = one.page
    field, chosen = page.get_by_label("Receipt"), place(page, "Receipt")
    throttle(one, SLOWLY)
    field.set_input_files(file("bill.pdf", "application/pdf", PDF + bytes(1_900_000)))
    expect(chosen.locator("progress")).to_be_visible()
    one.check_access()
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("alert")).to_contain_text("Receipt: A file is still on its way.")
    field.focus()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Cancel the upload of bill.pdf")).to_be_focused()
    page.keyboard.press("Enter")
    expect(field).to_be_focused()
    expect(chosen.get_by_role("listitem")).to_have_count(0)
    expect(chosen.get_by_role("status")).to_have_text("Upload of bill.pdf cancelled")


def test_a_reload_keeps_what_was_uploaded_and_says_what_was_not(
    asker: Asker, visit: Visiting
) -> None:
    person = asker.person()
    request = asker.ask(person, CLAIM, filesPolicy=POLICY)
    one = visit(person)
    one.open(f"?id={request}")
    page = one.page
    page.get_by_label("Receipt").set_input_files(file("bill.pdf", "application/pdf", PDF))
    expect(place(page, "Receipt").get_by_role("status")).to_have_text("bill.pdf is uploaded")
    throttle(one, SLOWLY)
    page.get_by_label("Photos").set_input_files(file("a.png", "image/png", PNG + bytes(1_900_000)))
    expect(place(page, "Photos").locator("progress")).to_be_visible()
    page.reload()
    expect(place(page, "Receipt").get_by_role("listitem")).to_contain_text("bill.pdf")
    lost = place(page, "Photos").get_by_role("listitem")
    expect(lost).to_contain_text("left before this was uploaded")
    throttle(one, AT_ONCE)
    lost.get_by_role("button", name="Remove a.png").click()
    page.get_by_role("button", name="Send answer").click()
    page.get_by_role("heading", name="Answer sent").wait_for()
    assert list(asker.answer(request)) == ["receipt"]


def test_files_beside_the_answer_are_sent_with_it(asker: Asker, visit: Visiting) -> None:
    """Where the request takes files and its schema has no place for them."""
    person = asker.person()
    schema = {"title": "Anything?", "type": "object", "properties": {"note": {"type": "string"}}}
    request = asker.ask(person, schema, filesPolicy={})
    one = visit(person)
    one.open(f"?id={request}")
    page = one.page
    page.get_by_label("Files for this answer").set_input_files(
        file("a.txt", "text/plain", b"hello")
    )
    expect(place(page, "Files for this answer").get_by_role("status")).to_contain_text("uploaded")
    page.get_by_role("button", name="Send answer").click()
    page.get_by_role("heading", name="Answer sent").wait_for()
    page.get_by_text("What you sent").click()
    expect(page.get_by_role("link", name="a.txt")).to_be_visible()
    assert asker.answer(request) == {}
