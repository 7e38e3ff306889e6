"""A thousand requests in one inbox: scrolling keeps up, whatever scrolls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, expect

from tests.web.conftest import Asker, Visit
from tests.web.test_stories import CITY

Visiting = Callable[..., Visit]

ROWS = 1000
LONGEST_MS = 100
OBSERVE = """() => {
  window.drawn = 0
  new MutationObserver(changes => { drawn += changes.length })
    .observe(document.body, {subtree: true, childList: true, attributes: true})
}"""
# Two frames after what was last done: its tasks are over then, and have been told.
SETTLED = """() => new Promise(done =>
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 0))))"""


def ask_many(asker: Asker, person: str) -> None:
    schemas = [{**CITY, "title": f"Question {n}"} for n in range(ROWS)]
    items = [{"to": person, "schema": one, "tags": ["many", "rows"]} for one in schemas]
    for start in range(0, ROWS, 100):
        made = asker.rest.post("/v1/requests/bulk", json={"items": items[start : start + 100]})
        assert made.status_code in (200, 201), made.text


def scroll_by_wheel(page: Page) -> None:
    page.mouse.move(640, 400)
    while page.evaluate("innerHeight + scrollY < document.documentElement.scrollHeight - 2"):
        page.mouse.wheel(0, 6000)
        page.evaluate(SETTLED)


def scroll_by_keys(page: Page) -> None:
    page.keyboard.press("Home")
    for key in [*["j"] * 15, *["PageDown"] * 8, "End", "Home", *["k"] * 5]:
        page.keyboard.press(key)
    page.evaluate(SETTLED)


def test_no_task_is_longer_than_a_tenth_of_a_second_while_a_thousand_rows_scroll(
    asker: Asker, visit: Visiting, chromium: Browser
) -> None:
    """Each task of the page's thread by the CPU that it took: it is not to blame for what other
    processes do on the same machine meanwhile, which the clock would count."""
    person = asker.person()
    ask_many(asker, person)
    page = visit(person).page
    rows = page.locator("[data-row]")
    more = page.get_by_role("button", name="Show more")
    for shown in range(100, ROWS, 100):
        expect(rows).to_have_count(shown)
        more.click()
    expect(rows).to_have_count(ROWS)
    page.evaluate(SETTLED)
    page.evaluate(OBSERVE)
    with traced(chromium, page) as events:
        scroll_by_wheel(page)
        scroll_by_keys(page)
    tasks = cpu_of_tasks(events)
    assert len(tasks) > 100, "the tasks of the page were seen"
    assert max(tasks) < LONGEST_MS
    # Scrolling draws no row anew.
    assert page.evaluate("drawn") < ROWS / 10


@contextmanager
def traced(browser: Browser, page: Page) -> Iterator[list[Any]]:
    """What the browser's threads did meanwhile, whole once it is left."""
    events: list[Any] = []
    ended: list[Any] = []
    devtools = browser.new_browser_cdp_session()
    devtools.on("Tracing.dataCollected", lambda told: events.extend(told["value"]))
    devtools.on("Tracing.tracingComplete", lambda told: ended.extend([told]))
    config = {"includedCategories": ["disabled-by-default-devtools.timeline"]}
    devtools.send("Tracing.start", {"transferMode": "ReportEvents", "traceConfig": config})
    yield events
    devtools.send("Tracing.end")
    while not ended:
        page.evaluate("0")
    devtools.detach()


def cpu_of_tasks(events: list[Any]) -> list[float]:
    """The tasks of the threads that pages run on, in milliseconds of CPU."""
    pages = {
        (one["pid"], one["tid"])
        for one in events
        if one["name"] == "thread_name" and one["args"]["name"] == "CrRendererMain"
    }
    return [
        one["tdur"] / 1000
        for one in events
        if one["name"] == "RunTask" and "tdur" in one and (one["pid"], one["tid"]) in pages
    ]
