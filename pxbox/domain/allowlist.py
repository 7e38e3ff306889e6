"""Where schemas may be fetched from, and at which addresses that place may be (X3).

Nothing is allowed but what an entry names. An entry is a host (`schemas.example.org`, by https), a
prefix of URLs (`https://example.org/schemas/`, `http://localhost:8000`), or a range of addresses
(`10.1.0.0/16`: URLs whose host is written as one of them, by https). A host and a prefix may be
followed by `@` and a range: there, beside public addresses, they may be at an address of it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MOST_URL_CHARACTERS = 2_048
_PORTS = {"https": 443, "http": 80}
# As RFC 3986 has them in ASCII; anything else is for the author of the reference to encode.
_URL = re.compile(r"[A-Za-z0-9._~:/?#\[\]!$&'()*+,;=%@-]+")
_HOST_NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*\.?")
# Dots that are segments, and slashes and dots in disguise: what is behind them may be elsewhere.
_CROOKED = re.compile(r"/\.{1,2}(/|$)|%2e|%2f|%5c|//", re.IGNORECASE)
_NAT64 = IPv6Network("64:ff9b::/96")


class NotAllowed(Exception):
    """The URL, or the address behind it, is not one to fetch from; the message continues a
    sentence about it."""


@dataclass(frozen=True, slots=True)
class Place:
    """A URL taken apart: `host` in lower case, without brackets; `target` as in a request line."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """Host and port as they stand in a URL; the port only where it is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


@dataclass(frozen=True, slots=True)
class Entry:
    """`place` is None where the entry is a range alone."""

    place: Place | None
    network: Network | None

    def __str__(self) -> str:
        place = "" if self.place is None else self.place.url
        return place if self.network is None else f"{place}@{self.network}".removeprefix("@")

    def admits(self, place: Place) -> bool:
        if self.place is None:
            address = literal_address(place.host)
            usual = place.scheme == "https" and place.port == _PORTS["https"]
            return address is not None and usual and _within(address, self.network)
        mine = (self.place.scheme, self.place.host, self.place.port)
        if mine != (place.scheme, place.host, place.port):
            return False
        prefix = self.place.target
        # `/schemas` is no prefix of `/schemas-of-others`.
        below = (prefix,) if prefix.endswith("/") else (prefix + "/", prefix + "?")
        return place.target == prefix or place.target.startswith(below)


@dataclass(frozen=True, slots=True)
class Allowlist:
    """What the operator allows; nothing, if nothing was said."""

    entries: tuple[Entry, ...] = ()

    def __str__(self) -> str:
        """What `parse_allowlist` reads as the same."""
        return ",".join(map(str, self.entries))

    def admit(self, url: str) -> tuple[Place, tuple[Network, ...]]:
        """Return the place of a URL, and the ranges beside public addresses that it may be at.

        Raises NotAllowed.
        """
        place = read_place(url)
        admitting = [entry for entry in self.entries if entry.admits(place)]
        if not admitting:
            raise NotAllowed("is not among the places that the operator allows")
        return place, tuple(one.network for one in admitting if one.network is not None)


def parse_allowlist(text: str) -> Allowlist:
    """Read entries that are separated by commas. Raises ValueError."""
    parts = [one.strip() for one in text.split(",")]
    return Allowlist(tuple(_entry(one) for one in parts if one))


def read_place(url: str) -> Place:
    """Take a URL apart. Raises NotAllowed for what is no plain http or https URL in ASCII."""
    if len(url) > MOST_URL_CHARACTERS:
        raise NotAllowed(f"is longer than {MOST_URL_CHARACTERS:,} characters")
    if not _URL.fullmatch(url):
        raise NotAllowed("is not a URL in ASCII")
    try:
        parts = urlsplit(url)
        scheme, port = parts.scheme.lower(), parts.port
        host = (parts.hostname or "").lower()
    except ValueError:
        raise NotAllowed("is not a URL") from None
    if scheme not in _PORTS:
        raise NotAllowed("is not an https URL")
    if "@" in parts.netloc:
        raise NotAllowed("has a user name in it")
    if not _is_host(host) or port == 0:
        raise NotAllowed("has no host")
    if _CROOKED.search(parts.path):
        raise NotAllowed("has a path that is not plain")
    query = f"?{parts.query}" if parts.query else ""
    return Place(scheme, host, port or _PORTS[scheme], (parts.path or "/") + query)


def literal_address(host: str) -> Address | None:
    """Return the address that a host is written as; None for a name.

    Numbers in other forms (decimal, octal, hexadecimal, shortened) are names here, which no entry
    has.
    """
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def check_address(text: str, networks: tuple[Network, ...]) -> str:
    """Return the address if it may be connected to: it is public, or within one of the ranges.

    An IPv4 address inside an IPv6 one counts as what it is. Raises NotAllowed.
    """
    address = literal_address(text)
    if address is None:
        raise NotAllowed("leads to what is no address")
    for one in _meant_by(address):
        if not _is_public(one) and not any(_within(one, network) for network in networks):
            raise NotAllowed("leads to an address that is not public and that no entry names")
    return text


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address.is_site_local:
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _meant_by(address: Address) -> Iterator[Address]:
    """The address that is connected to in the end, or each of those that it might be."""
    if isinstance(address, IPv4Address):
        yield address
    elif address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    elif address in _NAT64:
        yield IPv4Address(int(address) & 0xFFFF_FFFF)
    else:
        yield address
        if address.sixtofour is not None:
            yield address.sixtofour
        if address.teredo is not None:
            yield address.teredo[1]


def _within(address: Address, network: Network | None) -> bool:
    return network is not None and address.version == network.version and address in network


def _is_host(host: str) -> bool:
    if literal_address(host) is not None:
        return "%" not in host
    # One that ends in a number would be an address by some resolvers (WHATWG URL, 3.5).
    last = host.rstrip(".").rpartition(".")[2]
    return bool(_HOST_NAME.fullmatch(host)) and not re.fullmatch(r"\d+|0x[0-9a-f]*", last)


def _entry(text: str) -> Entry:
    place, _, after = text.rpartition("@")
    network = _network(after)
    if network is not None and not place:
        return Entry(None, network)
    # `https://example.org/@scope/` has an @ of its own.
    named = place if network is not None else text
    url = named if "://" in named else f"https://{named}"
    try:
        found = read_place(url)
    except NotAllowed as error:
        raise ValueError(_mistake(text, str(error))) from None
    if "?" in found.target or "#" in named or ("://" not in named and found.target != "/"):
        raise ValueError(_mistake(text, "is neither a host nor a prefix of URLs"))
    return Entry(found, network)


def _mistake(text: str, why: str) -> str:
    return (
        "must be hosts, prefixes of URLs and ranges of addresses, separated by commas, such as "
        f"schemas.example.org,https://example.org/schemas/@10.1.0.0/16; {text[:60]!r} {why}"
    )


def _network(text: str) -> Network | None:
    if "/" not in text:
        return None
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None
