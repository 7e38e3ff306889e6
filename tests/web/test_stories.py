"""What people do on the page, in a real browser against a real broker."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.brokers import PXBOX, SECRET
from tests.web.conftest import Asker, Visit

Visiting = Callable[..., Visit]
FOCUSED = "field => field === document.activeElement"

CITY = {
    "title": "Where do you live?",
    "type": "object",
    "required": ["city"],
    "properties": {"city": {"type": "string", "title": "City", "minLength": 2}},
}
RELEASE = {
    "title": "Approve the release?",
    "type": "object",
    "required": ["approve"],
    "properties": {
        "approve": {"type": "boolean", "title": "Approve?"},
        "note": {"type": "string", "title": "Note", "default": "none"},
        "urgent": {"type": "boolean", "title": "Urgent?"},
    },
}
TRIP = {
    "title": "Travel booking",
    "type": "object",
    "required": ["traveller", "payment"],
    "$defs": {
        "person": {
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": {"type": "string", "title": "Name"},
                "companions": {
                    "type": "array",
                    "title": "Companions",
                    "items": {"$ref": "#/$defs/person"},
                },
            },
        }
    },
    "properties": {
        "traveller": {"$ref": "#/$defs/person", "title": "Traveller"},
        "class": {
            "title": "Class",
            "oneOf": [
                {"const": "eco", "title": "Economy"},
                {"const": "biz", "title": "Business"},
            ],
        },
        "payment": {
            "title": "Payment",
            "oneOf": [
                {
                    "title": "By card",
                    "type": "object",
                    "required": ["kind", "number"],
                    "properties": {
                        "kind": {"const": "card"},
                        "number": {"type": "string", "title": "Card number", "pattern": "^[0-9]+$"},
                    },
                },
                {
                    "title": "On account",
                    "type": "object",
                    "required": ["kind", "centre"],
                    "properties": {
                        "kind": {"const": "account"},
                        "centre": {"type": "string", "title": "Cost centre"},
                    },
                },
            ],
        },
        "visa": {"type": "boolean", "title": "Visa needed?"},
        "terms": {"type": "boolean", "const": True, "title": "I accept the policy"},
    },
    "if": {"properties": {"visa": {"const": True}}, "required": ["visa"]},
    "then": {
        "required": ["passport"],
        "properties": {"passport": {"type": "string", "title": "Passport"}},
    },
}


def tab_to(page: Page, field: Locator) -> None:
    """As somebody without a mouse gets there; a field that cannot be reached ends the test."""
    for _ in range(30):
        if field.evaluate(FOCUSED):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"the keyboard does not get to {field}")


def test_three_requests_one_of_them_hard_are_answered_with_the_keyboard_alone(
    asker: Asker, visit: Visiting
) -> None:
    person = asker.person()
    release, trip = asker.ask(person, RELEASE), asker.ask(person, TRIP)
    city = asker.ask(person, CITY)
    page = visit(person).page
    keys = page.keyboard
    expect(page.locator("[data-row]")).to_have_count(3)
    while not page.locator(f"[data-row='{city}'] a.title").evaluate(FOCUSED):
        keys.press("j")
    keys.press("Enter")
    field = page.get_by_label("City")
    field.wait_for()
    tab_to(page, field)
    keys.type("Lisbon")
    # Out of the field, back to the list, and there again: nothing is lost on the way.
    keys.press("Escape")
    keys.press("Escape")
    expect(page.locator(f"[data-row='{city}'] a.title")).to_be_focused()
    keys.press("Enter")
    expect(field).to_have_value("Lisbon")
    keys.press("Control+Enter")
    expect(page.get_by_role("heading", name="Answer sent")).to_be_focused()
    assert asker.answer(city) == {"city": "Lisbon"}

    page.get_by_text("Next:").wait_for()
    keys.press("j")
    page.get_by_label("Note").wait_for()
    tab_to(page, page.get_by_label("Note"))
    keys.type("fine")
    keys.press("Enter")
    keys.press("Control+Enter")
    expect(page.get_by_role("alert")).to_be_focused()
    keys.press("Tab")
    keys.press("Enter")
    expect(page.get_by_role("radio", name="Yes").first).to_be_focused()
    keys.press("Space")
    keys.press("Control+Enter")
    expect(page.get_by_role("heading", name="Answer sent")).to_be_focused()
    assert asker.answer(release) == {"approve": True, "note": "fine"}

    page.get_by_text("Next:").wait_for()
    keys.press("Tab")
    keys.press("Enter")
    page.get_by_label("Name required").wait_for()
    tab_to(page, page.get_by_label("Name required"))
    keys.type("Ana")
    tab_to(page, page.get_by_role("button", name="Add to Companions"))
    keys.press("Enter")
    expect(page.get_by_label("Name required").nth(1)).to_be_focused()
    keys.type("Bo")
    tab_to(page, page.get_by_label("Payment"))
    keys.type("On account")
    tab_to(page, page.get_by_label("Cost centre"))
    keys.type("42")
    keys.press("Control+Enter")
    expect(page.get_by_role("heading", name="Answer sent")).to_be_focused()
    expect(page.get_by_text("That was the last one")).to_be_visible()
    assert asker.answer(trip) == {
        "traveller": {"name": "Ana", "companions": [{"name": "Bo"}]},
        "payment": {"kind": "account", "centre": "42"},
    }


def test_an_answer_holds_what_the_person_gave_and_nothing_else(
    asker: Asker, visit: Visiting
) -> None:
    """No default, no unticked box, no first of several choices is sent for anybody."""
    person = asker.person()
    request = asker.ask(person, RELEASE)
    one = visit(person)
    one.open(f"?id={request}")
    page = one.page
    page.get_by_role("button", name="Send answer").click()
    summary = page.get_by_role("alert")
    expect(summary).to_be_focused()
    expect(summary).to_contain_text("One field needs your attention")
    one.check_access()
    summary.get_by_role("link", name="Approve?").click()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Send answer").click()
    page.get_by_role("heading", name="Answer sent").wait_for()
    assert asker.answer(request) == {"approve": True}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_hard_schema_is_answered(asker: Asker, visit: Visiting, scheme: str) -> None:
    person = asker.person()
    request = asker.ask(person, TRIP, why="You **fly** next week.", prefill={"class": "eco"})
    one = visit(person, color_scheme=scheme, viewport={"width": 360, "height": 740})
    one.open(f"?id={request}")
    page = one.page
    page.get_by_text("Some fields were filled in for you").wait_for()
    page.get_by_label("Name required").fill("Ana")
    page.get_by_role("button", name="Add to Companions").click()
    page.get_by_label("Name required").nth(1).fill("Bo")
    page.get_by_label("Payment").select_option(label="By card")
    page.get_by_label("Card number").fill("four")
    page.get_by_role("radiogroup", name="Visa needed?").get_by_label("Yes").check()
    page.get_by_role("button", name="Send answer").click()
    summary = page.get_by_role("alert")
    expect(summary).to_contain_text("Card number: This does not have the form")
    expect(summary).to_contain_text("Passport: Please fill this in")
    one.check_access()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.get_by_label("Card number").fill("4111")
    page.get_by_label("Passport").fill("X1")
    page.get_by_role("button", name="Send answer").click()
    page.get_by_role("heading", name="Answer sent").wait_for()
    assert asker.answer(request) == {
        "traveller": {"name": "Ana", "companions": [{"name": "Bo"}]},
        "class": "eco",
        "payment": {"kind": "card", "number": "4111"},
        "visa": True,
        "passport": "X1",
    }


def test_what_comes_in_is_announced_and_moves_no_row(asker: Asker, visit: Visiting) -> None:
    person = asker.person()
    asker.ask(person, CITY)
    page = visit(person).page
    rows = page.locator("[data-row]")
    expect(rows).to_have_count(1)
    expect(page.locator(".live.open")).to_be_visible()
    before = rows.first.bounding_box()
    soon = datetime.now(UTC) + timedelta(minutes=20)
    asker.ask(person, {**CITY, "title": "At once"}, deadlineAt=soon.isoformat())
    news = page.get_by_role("button", name="1 new")
    news.wait_for()
    expect(rows).to_have_count(1)
    after = rows.first.bounding_box()
    assert before is not None
    assert after is not None
    assert (before["x"], before["width"]) == (after["x"], after["width"])
    news.click()
    expect(rows.first).to_contain_text("At once")


def test_deleting_snoozing_and_reading_are_undone(asker: Asker, visit: Visiting) -> None:
    person = asker.person()
    asker.ask(person, CITY)
    one = visit(person)
    page = one.page
    row = page.locator("[data-row]")
    row.wait_for()
    for key, said in (("#", "Deleted"), ("u", "Marked read")):
        page.locator("[data-row] a.title").focus()
        page.keyboard.press(key)
        expect(page.locator(".toast")).to_contain_text(said)
        page.keyboard.press("z")
        expect(page.locator(".toast")).to_contain_text("Undone")
        expect(row).to_have_class(re.compile("unread"))
    page.locator("[data-row] a.title").focus()
    page.keyboard.press("h")
    one.check_access()
    page.get_by_role("button", name="Tomorrow morning").click()
    expect(row).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(row).to_have_count(1)


def test_someone_else_was_faster_and_the_text_is_kept(asker: Asker, visit: Visiting) -> None:
    person, other = asker.person(), asker.person()
    request = asker.ask([person, other], CITY)
    one = visit(person)
    one.open(f"?id={request}")
    one.page.get_by_label("City").fill("Lisbon")
    asker.act_as(other, f"/v1/requests/{request}/response", {"payload": {"city": "Porto"}})
    expect(one.page.get_by_role("heading", name="Someone else was faster")).to_be_visible()
    expect(one.page.get_by_label("City")).to_have_value("Lisbon")
    expect(one.page.get_by_role("button", name="Send answer")).to_have_count(0)
    one.check_access()


def test_a_draft_is_there_after_a_reload_and_in_another_browser(
    asker: Asker, visit: Visiting
) -> None:
    person = asker.person()
    request = asker.ask(person, CITY)
    one, two = visit(person), visit(person)
    one.open(f"?id={request}")
    one.page.get_by_label("City").fill("Lisbon")
    one.page.get_by_text("Draft kept", exact=False).filter(has_not_text="browser").wait_for()
    one.page.reload()
    expect(one.page.get_by_label("City")).to_have_value("Lisbon")
    two.open(f"?id={request}")
    expect(two.page.get_by_label("City")).to_have_value("Lisbon")


def test_an_answer_given_offline_is_sent_once_the_network_is_back(
    asker: Asker, visit: Visiting
) -> None:
    person = asker.person()
    request = asker.ask(person, CITY)
    one = visit(person)
    one.expected = ("/draft", "ERR_INTERNET_DISCONNECTED")
    one.open(f"?id={request}")
    one.page.get_by_label("City").fill("Lisbon")
    one.context.set_offline(offline=True)
    one.page.get_by_role("button", name="Send answer").click()
    one.page.get_by_role("heading", name="You are offline").wait_for()
    one.context.set_offline(offline=False)
    assert asker.answer(request) == {"city": "Lisbon"}


def test_a_login_that_ends_in_the_middle_of_a_form_loses_nothing(
    asker: Asker, visit: Visiting
) -> None:
    person = asker.person()
    request = asker.ask(person, CITY)
    one = visit(person)
    one.expected = ("/draft", "status of 401")
    one.open(f"?id={request}")
    one.page.get_by_label("City").wait_for()
    one.context.clear_cookies()
    one.page.get_by_label("City").fill("Lisbon")
    one.page.get_by_role("dialog", name="Sign in again").wait_for()
    one.check_access()
    one.sign_in()
    one.page.get_by_role("dialog").wait_for(state="detached")
    expect(one.page.get_by_label("City")).to_have_value("Lisbon")
    one.page.get_by_role("button", name="Send answer").click()
    assert asker.answer(request) == {"city": "Lisbon"}


def test_a_request_is_claimed_and_declined_with_a_reason(asker: Asker, visit: Visiting) -> None:
    person = asker.person()
    request = asker.ask(person, CITY)
    one = visit(person)
    one.open(f"?id={request}")
    one.page.get_by_role("button", name="Claim", exact=True).click()
    expect(one.page.get_by_text("You hold this for another")).to_be_visible()
    one.page.get_by_role("button", name="Decline…").click()
    one.page.get_by_label("Reason").fill("Ask the office")
    one.page.get_by_role("dialog").get_by_role("button", name="Decline").click()
    one.page.get_by_role("heading", name="Declined").wait_for()
    found = asker.detail(request)
    assert (found["status"], found["reason"]) == ("DECLINED", "Ask the office")


def test_somebody_asks_by_pasting_a_schema_and_reads_the_answer(
    asker: Asker, visit: Visiting
) -> None:
    person, other = asker.person(), asker.person()
    one = visit(person)
    page = one.page
    page.get_by_role("link", name="Ask", exact=True).click()
    page.get_by_label("Whom").fill(other)
    page.get_by_role("region", name="What they will see").get_by_label("Place").wait_for()
    one.check_access()
    page.get_by_role("button", name="Send request").click()
    page.get_by_text("No answer yet.").wait_for()
    request = page.url.rpartition("id=")[2]
    asker.act_as(other, f"/v1/requests/{request}/response", {"payload": {"place": "Café"}})
    expect(page.get_by_text("Café")).to_be_visible()
    one.check_access()
    page.get_by_role("link", name="Asked by me", exact=True).click()
    expect(page.get_by_role("link", name="Where shall we meet?")).to_be_visible()
    one.check_access()


def test_the_inbox_is_searched_and_filtered_by_its_address(asker: Asker, visit: Visiting) -> None:
    person = asker.person()
    asker.ask(person, CITY, tags=["home"])
    asker.ask(person, RELEASE, tags=["work"])
    one = visit(person)
    one.open("?q=release")
    expect(one.page.locator("[data-row]")).to_have_count(1)
    one.open("?tag=home")
    expect(one.page.locator("[data-row]")).to_contain_text(["Where do you live?"])
    one.open("?q=nothing")
    expect(one.page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    one.check_access()
    one.page.get_by_role("button", name="Sign out").click()
    one.page.get_by_role("heading", name="Sign in").wait_for()
    one.check_access()


def test_a_flow_shows_what_it_did_and_on_whom_it_waits(asker: Asker, visit: Visiting) -> None:
    person, other = asker.person(), asker.person()
    token = asker.broker.token(person, "request respond flow admin", entity=person)
    headers = {"authorization": f"Bearer {token}"}
    kind = {"kind": "onboarding", "cursor": {}}
    flow = asker.rest.post("/v1/flows", json=kind, headers=headers).json()["flowId"]
    done = {
        "revision": 0,
        "status": "WAITING_INPUT",
        "wake": 0,
        "steps": [{"key": "account#1", "digest": "a", "result": 1}],
        "waits": [
            {
                "key": "laptop#1",
                "kind": "ask",
                "digest": "b",
                "request": {"to": other, "schema": {**CITY, "title": "Which laptop?"}},
            }
        ],
    }
    kept = asker.rest.post(f"/v1/flows/{flow}/checkpoint", json=done, headers=headers)
    assert kept.status_code == 200, kept.text
    one = visit(person)
    one.open(f"?view=flows&id={flow}")
    expect(one.page.get_by_text(f"→ {other}")).to_be_visible()
    expect(one.page.locator(".timeline li")).to_have_count(2)
    one.page.get_by_text("Send a signal…").click()
    one.page.get_by_label("Name of the signal").fill("arrived")
    one.page.get_by_label("What comes with it").fill('{"at": "noon"}')
    one.page.get_by_role("button", name="Send signal").click()
    expect(one.page.get_by_text("Signal arrived sent")).to_be_visible()
    one.check_access()


def test_a_link_signs_in_once_and_leaves_no_trace(asker: Asker, visit: Visiting) -> None:
    person, other = asker.person(), asker.person()
    one = visit(other)
    one.expected = ("/draft", "status of 401")
    page = one.page
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in").wait_for()
    command = [*PXBOX, "token", "link", "--entity", person, "--url", one.broker.url]
    environ = {**os.environ, "PXBOX_SECRET": SECRET}
    made = subprocess.run(command, env=environ, check=True, capture_output=True, text=True)
    link = made.stdout.strip()
    page.goto("about:blank")
    page.goto(link)
    expect(page.locator(".who .name")).to_have_text(person)
    assert "link" not in page.url
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in").wait_for()
    page.get_by_label("Sign-in link or token").fill(link)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("main").get_by_role("alert")).to_contain_text("was used or has run out")
