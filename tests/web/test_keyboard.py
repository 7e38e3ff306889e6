"""Keys work from the first frame in which a person sees what they are for."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.web.conftest import Asker
from tests.web.test_stories import Visiting

GO = {"title": "Shall we go?", "type": "object", "properties": {"go": {"type": "boolean"}}}
AT_ONCE = """([selector, key]) => new MutationObserver((_, observer) => {
  const shown = document.querySelector(selector)
  if (!shown) return
  observer.disconnect()
  shown.dispatchEvent(new KeyboardEvent('keydown', {...key, bubbles: true, cancelable: true}))
}).observe(document.body, {childList: true, subtree: true})"""
"""Presses a key in the very task that puts something on the page, sooner than any person can."""


@pytest.mark.parametrize(
    ("shown", "key", "then"),
    [
        ("form.form", {"key": "Enter", "ctrlKey": True}, "Answer sent"),
        ("article h1", {"key": "Escape"}, "Inbox"),
    ],
)
def test_a_key_pressed_as_the_form_appears_counts(
    asker: Asker, visit: Visiting, shown: str, key: dict[str, object], then: str
) -> None:
    person = asker.person()
    asker.ask(person, GO)
    page = visit(person).page
    # Once before, for the form is fetched when one is first needed.
    row = page.locator("[data-row] a.title")
    row.click()
    page.locator("form.form").wait_for()
    page.get_by_role("link", name="Back to the inbox").click()
    row.wait_for()
    page.evaluate(AT_ONCE, [shown, key])
    row.click()
    expect(page.get_by_role("heading", name=then, level=1)).to_be_visible()
