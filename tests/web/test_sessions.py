"""A page that stays open: over the broker's restarts, the end of its session, and beside others."""

from __future__ import annotations

import signal
from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from tests.brokers import Brokers
from tests.web.conftest import CUT_OFF, Asker, Visit
from tests.web.line import line_to
from tests.web.test_stories import CITY

Visiting = Callable[..., Visit]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_page_outlives_its_broker_and_misses_nothing(
    asker: Asker, visit: Visiting, module_brokers: Brokers, how: signal.Signals
) -> None:
    """The page is neither reloaded nor signed in anew, and what came meanwhile is announced."""
    person = asker.person()
    request = asker.ask(person, CITY)
    # Beside the broker that asks, on the same database.
    its = module_brokers()
    with line_to(its.url) as line:
        one = visit(person, through=line.url)
        one.expected = CUT_OFF
        page = one.page
        expect(page.locator("[data-row]")).to_have_count(1)
        expect(page.locator(".live.open")).to_be_visible()
        page.evaluate("window.sameAsEver = true")
        its.process.send_signal(how)
        its.wait()
        expect(page.locator(".live.waiting")).to_have_text("Offline – trying again")
        asker.ask(person, {**CITY, "title": "Asked meanwhile"})
        asker.act_as(person, f"/v1/requests/{request}/claim", {})
        again = module_brokers()
        line.lead_to(again.url)
        expect(page.locator(".live.open")).to_be_visible(timeout=40_000)
        page.get_by_role("button", name="1 new").wait_for()
        expect(page.locator(f"[data-row='{request}']")).to_contain_text("Yours")
        assert page.evaluate("window.sameAsEver")
        again.kill()


def test_the_end_of_a_session_is_announced_and_costs_no_text(asker: Asker, visit: Visiting) -> None:
    """A token that ends in a moment: its session cannot be renewed."""
    person = asker.person()
    request = asker.ask(person, CITY)
    one = visit(person, ttl=timedelta(seconds=4))
    one.expected = ("/draft", "status of 401")
    one.open(f"?id={request}")
    page = one.page
    expect(page.get_by_text("Your sign-in runs out")).to_be_visible()
    page.get_by_label("City").fill("Lisbon")
    again = page.get_by_role("dialog", name="Sign in again")
    again.wait_for(timeout=40_000)
    one.check_access()
    one.ttl = timedelta(hours=1)
    one.sign_in()
    again.wait_for(state="detached")
    expect(page.get_by_text("Your sign-in runs out")).to_have_count(0)
    expect(page.get_by_label("City")).to_have_value("Lisbon")
    expect(page.locator(".live.open")).to_be_visible()
    page.get_by_role("button", name="Send answer").click()
    assert asker.answer(request) == {"city": "Lisbon"}


def test_a_page_that_is_open_for_hours_renews_its_session(asker: Asker, visit: Visiting) -> None:
    one = visit(asker.person(), clock=True, ttl=timedelta(days=30))
    page = one.page
    expect(page.locator(".live.open")).to_be_visible()
    with page.expect_response("**/v1/session/renew") as renewed:
        page.clock.fast_forward("07:00:00")
    assert renewed.value.ok
    expect(page.locator(".live.open")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_tabs_of_one_browser_sign_in_and_out_together(asker: Asker, visit: Visiting) -> None:
    person, other = asker.person(), asker.person()
    request = asker.ask(person, CITY)
    one = visit(person)
    one.expected = ("/draft", "status of 401")
    tab = one.context.new_page()
    tab.goto(f"{one.url}/?id={request}")
    tab.get_by_label("City").fill("Lisbon")
    one.page.get_by_role("button", name="Sign out").click()
    tab.get_by_role("heading", name="Sign in").wait_for()
    one.sign_in()
    expect(tab.get_by_label("City")).to_have_value("Lisbon")
    # Somebody else's session takes over nothing of this.
    one.page.get_by_role("button", name="Sign out").click()
    one.person = other
    one.sign_in()
    expect(tab.locator(".who .name")).to_have_text(other)
    expect(tab.get_by_label("City")).to_have_value("")


def test_what_was_typed_a_moment_before_a_reload_is_there(asker: Asker, visit: Visiting) -> None:
    person = asker.person()
    request = asker.ask(person, CITY)
    one = visit(person)
    one.open(f"?id={request}")
    one.page.get_by_label("City").press_sequentially("Lisbon")
    one.page.reload()
    expect(one.page.get_by_label("City")).to_have_value("Lisbon")


def test_what_one_asked_is_listed_by_state_and_follows_what_happens(
    asker: Asker, visit: Visiting
) -> None:
    asking, person = asker.person(), asker.person()
    headers = {"authorization": f"Bearer {asker.broker.token(asking, entity=asking)}"}

    def ask(title: str) -> str:
        body = {"to": person, "schema": {**CITY, "title": title}}
        return str(asker.rest.post("/v1/requests", json=body, headers=headers).json()["id"])

    ids = [ask(f"Question {n}") for n in range(52)]
    one = visit(asking)
    one.open("?view=mine")
    page = one.page
    rows = page.locator("main .row")
    expect(rows).to_have_count(50)
    expect(rows.first).to_contain_text("Question 51")
    expect(rows.first).to_contain_text("has reached nobody yet")
    page.get_by_role("button", name="Show more").click()
    expect(rows).to_have_count(52)
    asker.act_as(person, f"/v1/requests/{ids[51]}/response", {"payload": {"city": "Porto"}})
    expect(rows.first.locator(".state")).to_have_text("Answered")
    ask("One more")
    page.get_by_role("button", name="1 new").click()
    expect(rows.first).to_contain_text("One more")
    one.check_access()
    page.get_by_role("link", name="Answered", exact=True).click()
    expect(rows).to_have_count(1)
    page.get_by_role("link", name="Declined", exact=True).click()
    expect(page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    one.check_access()
