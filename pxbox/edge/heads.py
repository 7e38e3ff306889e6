"""Request heads, judged before anything else sees them. No I/O here.

h11 parses; where it is lenient this is strict (RFC 9112), because a proxy in front that reads
the same bytes otherwise would let one request hide in another.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import h11

from pxbox.edge.bodies import Body, ChunkedBody, CountedBody
from pxbox.edge.limits import EdgeLimits
from pxbox.edge.refusals import Refusal, body_too_large, head_too_large, malformed, not_supported

Headers = list[tuple[bytes, bytes]]
Carries = Callable[[bytes, bytes], bool]

_HEAD_END = b"\r\n\r\n"
_BARE_LF = re.compile(rb"(?<!\r)\n")
_LOOSE_LINES = re.compile(rb"(?<!\r)\n|\r(?!\n)|\n[ \t]")
_CONTENT_LENGTHS = re.compile(rb"\r\ncontent-length:([^\r]*)", re.IGNORECASE)
_WEBSOCKET_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")
_MAX_HOST_BYTES = 255
_HOP_BY_HOP = frozenset(
    (b"connection", b"upgrade", b"keep-alive", b"content-length", b"sec-websocket-extensions")
)


@dataclass(frozen=True, slots=True)
class Head:
    """One head: its bytes as received, and how the body that follows is framed.

    `websocket` is the handshake in its plainest form where the request is one, else None.
    """

    raw: bytes
    body: Body
    websocket: bytes | None


class HeadReader:
    """Gathers the bytes of one head, however they are split."""

    def __init__(self, limits: EdgeLimits) -> None:
        self._limits = limits
        self._data = bytearray()

    def feed(self, data: bytes) -> tuple[bytes, bytes] | None:
        """The head and what came after it, once it is whole; before that None.

        Raises Refusal for what cannot become a head any more.
        """
        searched = max(0, len(self._data) - len(_HEAD_END) + 1)
        self._data += data
        if self._data[0] < 0x21:
            raise malformed("this is not an HTTP/1.1 request line")
        end = self._data.find(_HEAD_END, searched)
        size = end + len(_HEAD_END) if end >= 0 else len(self._data)
        if size > self._limits.head_bytes:
            raise head_too_large(f"a request head is at most {self._limits.head_bytes} bytes")
        if end >= 0:
            return bytes(self._data[:size]), bytes(self._data[size:])
        if _BARE_LF.search(self._data, searched):
            raise malformed("lines end with CR LF")
        return None


def judge(
    raw: bytes,
    limits: EdgeLimits,
    carries_payload: Carries = lambda method, target: False,
    carries_file: Carries = lambda method, target: False,
) -> Head:
    """Say what a head asks for; raises Refusal for what is not served.

    `carries_payload(method, target)` and `carries_file` say where a larger limit of a body holds.

    Every `Upgrade` but to `websocket` is refused, not ignored: h2c is a way around what a proxy
    in front checks.
    """
    connection, request = _parse(raw, limits)
    if request.http_version not in (b"1.1", b"1.0"):
        raise not_supported("HTTP/1.1 is spoken here, and WebSocket over it")
    if request.method == b"CONNECT":
        raise not_supported("this is not a proxy")
    if not request.target.startswith((b"/", b"http://", b"https://")) and request.target != b"*":
        raise malformed("the request target is neither a path nor an http URL")
    headers = list(request.headers)
    if carries_payload(request.method, request.target):
        limits = replace(limits, body_bytes=limits.payload_bytes)
    elif carries_file(request.method, request.target):
        limits = replace(limits, body_bytes=limits.file_bytes)
    body = _body_of(raw, connection, headers, limits)
    protocols = _tokens(headers, b"upgrade")
    if not protocols:
        return Head(raw, body, None)
    if b"websocket" not in protocols:
        raise not_supported("there is no upgrade but to websocket")
    return Head(raw, body, _handshake(request, headers, body))


def _parse(raw: bytes, limits: EdgeLimits) -> tuple[h11.Connection, h11.Request]:
    if _LOOSE_LINES.search(raw):
        raise malformed("a line is folded, or does not end with CR LF")
    if raw.count(b"\n") > limits.head_lines:
        raise head_too_large(f"a request head has at most {limits.head_lines} lines")
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.head_bytes)
    connection.receive_data(raw)
    try:
        event = connection.next_event()
    except h11.RemoteProtocolError as error:
        # What follows the colon is the line itself, which may hold a token (X5).
        detail, _, _ = str(error).partition(": ")
        raise (not_supported if error.error_status_hint == 501 else malformed)(detail) from error
    if not isinstance(event, h11.Request):
        raise malformed("this is not an HTTP/1.1 request")
    return connection, event


def _body_of(raw: bytes, connection: h11.Connection, headers: Headers, limits: EdgeLimits) -> Body:
    lengths = _values(headers, b"content-length")
    if _values(headers, b"transfer-encoding"):
        if lengths or connection.their_http_version == b"1.0":
            raise malformed("the length of the body is stated in two ways")
        return ChunkedBody(connection, limits)
    if not lengths:
        return CountedBody(0)
    # h11 keeps one of several that agree; a list of lengths, or a second one, is refused here.
    stated = _CONTENT_LENGTHS.findall(raw)
    if len(stated) != 1 or not stated[0].strip(b" \t").isdigit():
        raise malformed("the length of the body is stated more than once")
    size_bytes = int(lengths[0])
    if size_bytes > limits.body_bytes:
        raise body_too_large(limits.body_bytes)
    return CountedBody(size_bytes)


def _handshake(request: h11.Request, headers: Headers, body: Body) -> bytes:
    """Check a WebSocket handshake (RFC 6455, section 4.2.1); return it in its plainest form.

    wsproto reads only the last `Upgrade` and `Connection` header, and no list in the former.
    """
    if request.method != b"GET" or request.http_version != b"1.1" or not body.complete:
        raise malformed("a WebSocket handshake is a GET of HTTP/1.1 without a body")
    if b"upgrade" not in _tokens(headers, b"connection"):
        raise malformed("a WebSocket handshake has the header Connection: Upgrade")
    if _values(headers, b"sec-websocket-version") != [b"13"]:
        raise Refusal(
            426,
            "upgrade_required",
            "WebSocket is spoken here in its version 13",
            headers=(("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")),
        )
    keys = _values(headers, b"sec-websocket-key")
    if len(keys) != 1 or not _WEBSOCKET_KEY.fullmatch(keys[0]):
        raise malformed("a WebSocket handshake has one key, 16 bytes in base64")
    if not all(value.isascii() for value in _values(headers, b"sec-websocket-protocol")):
        raise malformed("the names of subprotocols are ASCII")
    for host in _values(headers, b"host"):
        if len(host) > _MAX_HOST_BYTES or not _is_hostname(host):
            raise malformed("the Host header is not a host name")
    lines = [b"GET " + request.target + b" HTTP/1.1", b"Connection: Upgrade", b"Upgrade: websocket"]
    lines += [name + b": " + value for name, value in headers if name not in _HOP_BY_HOP]
    return b"\r\n".join([*lines, b"", b""])


def _is_hostname(host: bytes) -> bool:
    # wsproto decodes it so, and would raise where nobody expects it.
    try:
        host.decode("idna")
    except UnicodeError:
        return False
    return True


def _values(headers: Headers, wanted: bytes) -> list[bytes]:
    return [value for name, value in headers if name == wanted]


def _tokens(headers: Headers, wanted: bytes) -> set[bytes]:
    """The members of a comma-separated header, lower case, over all its lines."""
    members = b",".join(_values(headers, wanted)).lower().split(b",")
    return {member.strip() for member in members} - {b""}
