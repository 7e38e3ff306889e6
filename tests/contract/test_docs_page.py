"""The page at `/docs`: whole, well formed, and in need of nothing but itself."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import msgspec

from pxbox.rest.docs import content_security_policy, render_docs
from pxbox.rest.openapi import bundled
from tests.contract.documents import SCHEMAS, read

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """Reads a page and notes what it is made of; fails on an element that is closed wrongly."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.attributes: set[tuple[str, str]] = set()
        self.elements: set[str] = set()
        self.words: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            self.attributes.add((tag, name))
            if name == "id":
                self.ids.append(value or "")
            if name == "href":
                self.links.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


SOURCE = render_docs().decode()
PAGE = Page(SOURCE)
TEXT = "".join(PAGE.words)


def test_page_is_well_formed() -> None:
    assert SOURCE.startswith("<!doctype html>\n<html lang=")
    assert PAGE.open == []


def test_page_needs_no_script_and_no_other_file() -> None:
    loaded = {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    assert not PAGE.elements & loaded
    assert not {name for _, name in PAGE.attributes if name == "style" or name.startswith("on")}
    assert "url(" not in SOURCE
    assert "@import" not in SOURCE


def test_page_links_only_within_itself_and_to_the_two_documents() -> None:
    elsewhere = {link for link in PAGE.links if not link.startswith("#")}
    assert elsewhere == {"openapi.json", "asyncapi.json"}


def test_every_link_within_the_page_leads_to_exactly_one_place() -> None:
    assert len(PAGE.ids) == len(set(PAGE.ids))
    assert {link[1:] for link in PAGE.links if link.startswith("#")} <= set(PAGE.ids)


def test_policy_allows_the_one_style_and_nothing_else() -> None:
    (style,) = re.findall(r"<style>(.*?)</style>", SOURCE, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = content_security_policy()
    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_page_has_every_route() -> None:
    for path, item in read("openapi.json")["paths"].items():
        assert path in TEXT
        for method, call in item.items():
            if method != "parameters":
                assert f"op-{call['operationId']}" in PAGE.ids


def test_page_has_every_schema_that_a_document_uses() -> None:
    used = {
        schema
        for name in ("openapi.json", "asyncapi.json")
        for schema in msgspec.json.decode(bundled(name))["components"]["schemas"]
    }
    assert {f"schema-{name}" for name in used} <= set(PAGE.ids)
    assert used <= SCHEMAS.keys()


def test_page_has_every_error_and_every_close_code_and_every_limit() -> None:
    assert {f"error-{code}" for code in read("errors.json")} <= set(PAGE.ids)
    limits = read("limits.json")
    for one in limits["closeCodes"].values():
        assert str(one["code"]) in TEXT
        assert one["meaning"] in TEXT
    for name in limits["limits"]:
        assert name in TEXT


def test_descriptions_are_escaped() -> None:
    assert "<sub>" not in SOURCE
    assert "&lt;sub&gt;" in SOURCE
