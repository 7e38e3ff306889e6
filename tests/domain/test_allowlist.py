"""Where schemas may be fetched from: URLs, addresses, and what only looks like either (X3)."""

from __future__ import annotations

import pytest

from pxbox.domain.allowlist import Allowlist, NotAllowed, check_address, parse_allowlist

ALLOWED = parse_allowlist(
    "schemas.example, https://example.org/v1/, https://example.org:8443/one.json,"
    "http://plain.example, https://example.net/@scope, 198.51.100.0/24, 2001:db8::/32,"
    "inside.example@10.1.0.0/16"
)


@pytest.mark.parametrize(
    "url",
    [
        "https://schemas.example/a.json",
        "https://schemas.example",
        "https://schemas.example:443/a?b=c",
        "HTTPS://Schemas.Example/a",
        "https://example.org/v1/a.json",
        "https://example.org:8443/one.json",
        "https://example.org:8443/one.json?v=2",
        "http://plain.example/a",
        "https://example.net/@scope/a.json",
        "https://198.51.100.7/a.json",
        "https://[2001:db8::7]/a.json",
        "https://inside.example/a",
    ],
)
def test_what_an_entry_names_is_allowed(url: str) -> None:
    assert ALLOWED.admit(url)[0].url.lower().startswith(url.lower().partition(":443")[0])


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example/",
        "https://schemas.example.evil.example/",
        "https://a.schemas.example/",
        "http://schemas.example/",
        "https://schemas.example:8443/",
        "https://schemas.example@evil.example/",
        "https://user@schemas.example/",
        "https://schemas.example:0/",
        "https://schemas.example:99999/",
        "https://schemas.example\\@evil.example/",
        "https://schemas.example\t/",
        "https://schemas.exämple/",
        "https://schemas.example/a/../../b",
        "https://example.org/v1/../v2/a.json",
        "https://example.org/v1/%2e%2e/v2/a.json",
        "https://example.org/v1/..%2fv2/a.json",
        "https://example.org/v1//evil",
        "https://example.org/v1",
        "https://example.org/v10/a.json",
        "https://example.org/v2/",
        "https://example.org:8443/one.json.bak",
        "https://plain.example/a",
        "https://198.51.101.7/",
        "http://198.51.100.7/",
        "https://198.51.100.7:8443/",
        "https://3325256711/",
        "https://0xc6336407/",
        "https://198.51.25607/",
        "https://0306.063.0144.07/",
        "https://[::ffff:198.51.100.7]/",
        "https://[2001:db8::7%25eth0]/",
        "https://[2001:db9::7]/",
        "http://127.0.0.1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://127.1/",
        "http://[::1]/",
        "http://[::ffff:7f00:1]/",
        "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
        "file://schemas.example/etc/passwd",
        "ftp://schemas.example/",
        "gopher://schemas.example/",
        "data:application/json,{}",
        "//schemas.example/a",
        "schemas.example/a",
        "https:///a",
        "https://",
        "",
        "https://schemas.example/" + "a" * 3_000,
    ],
)
def test_what_no_entry_names_is_refused(url: str) -> None:
    with pytest.raises(NotAllowed):
        ALLOWED.admit(url)


def test_nothing_is_allowed_by_default() -> None:
    with pytest.raises(NotAllowed, match="not among the places"):
        Allowlist().admit("https://json.schemastore.org/package.json")


def test_ranges_count_for_the_entry_that_names_them_alone() -> None:
    assert ALLOWED.admit("https://schemas.example/")[1] == ()
    (network,) = ALLOWED.admit("https://inside.example/")[1]
    assert check_address("10.1.2.3", (network,)) == "10.1.2.3"


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_public_addresses_need_no_range(address: str) -> None:
    assert check_address(address, ()) == address


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.255.254", "0.0.0.0",  # noqa: S104
         "10.0.0.1", "172.16.0.1", "192.168.0.1",
        "169.254.169.254", "100.64.0.1", "192.0.0.1", "198.18.0.1", "224.0.0.1", "240.0.0.1",
        "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "fe80::1", "fc00::1",
        "fd00:ec2::254", "ff02::1", "fe80::1%eth0", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::", "2001:0:53aa:64c:0:0:80ff:fffe", "::127.0.0.1", "fec0::1", "2001:db8::1",
        "64:ff9b:1::7f00:1", "127.1", "2130706433", "localhost", "",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    with pytest.raises(NotAllowed):
        check_address(address, ())


def test_an_ipv4_address_within_an_ipv6_one_needs_the_ipv4_range() -> None:
    (network,) = ALLOWED.admit("https://inside.example/")[1]
    assert check_address("::ffff:10.1.0.1", (network,))
    with pytest.raises(NotAllowed):
        check_address("::ffff:10.2.0.1", (network,))


@pytest.mark.parametrize(
    "text",
    [
        "ftp://example.org", "https://", "exa mple.org", "example.org/path", "https://h/a?b=c",
        "https://h/a#b", "user@example.org", "10.0.0.1/8", "127.1", "1.2.3.4/33", "*.example.org",
        "https://h/../a", "https://h:0",
    ],
)  # fmt: skip
def test_entries_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be hosts"):
        parse_allowlist(f"schemas.example,{text}")


def test_an_allowlist_is_read_again_from_its_text() -> None:
    assert parse_allowlist(str(ALLOWED)) == ALLOWED
