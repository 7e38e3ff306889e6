"""What files may be called, and what they must look like."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxbox.domain.files import Arrival, check_file, label, media_type
from pxbox.domain.sniffing import BINARY, TEXT, fits, sniff
from pxbox.model.errors import FileRefused
from pxbox.model.file import FilesPolicy

PNG = b"\x89PNG\r\n\x1a\n" + bytes(2000)
HTML = b"\n <!DOCTYPE html><script>alert(1)</script>"


@pytest.mark.parametrize(
    "name",
    ["a.png", "ünï çødé.pdf", "報告.docx", ".gitignore", "a..b", "%2e%2e%2fpasswd", "CON", "-rf",
     "a;b.txt", "نامه\u200cها.pdf", '"quoted".txt', "a" * 255],
)  # fmt: skip
def test_a_name_is_any_label_of_a_file(name: str) -> None:
    assert label(name) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", " ", ". .", "../a", "a/b", "a\\b", "/etc/passwd", "a\0b", "a\nb", "a\rb",
     "a\x1bb", "a" * 256, "a" * 4096, "\u202efdp.exe", "a\u200fb", "\u2066x", "a\ufeffb",
     "a\u2028b",     "a\ud800b", "a\x85b"],
)  # fmt: skip
def test_a_name_that_would_mislead_is_refused(name: str) -> None:
    with pytest.raises(FileRefused):
        label(name)


@given(st.text(max_size=300))
def test_a_label_holds_nothing_that_a_header_a_path_or_a_terminal_minds(name: str) -> None:
    try:
        kept = label(name)
    except FileRefused:
        return
    assert label(kept) == kept
    assert 1 <= len(kept) <= 255
    assert not set(kept) & set("/\\\0\r\n\x1b\u202e\u2066")


def test_one_name_in_two_spellings_is_kept_in_one() -> None:
    assert label("e\u0301.txt") == label("\u00e9.txt")


def test_a_media_type_is_kept_without_its_parameters_in_lower_case() -> None:
    assert media_type(" Text/HTML; charset=utf-8") == "text/html"
    for wrong in ("", "png", "image/", "*/*", "image/*", "a b/c", "image/png\r\nx: y", "i/é"):
        with pytest.raises(FileRefused):
            media_type(wrong)


@pytest.mark.parametrize(
    ("head", "mime"),
    [
        (PNG, "image/png"), (b"%PDF-1.7\n", "application/pdf"), (HTML, "text/html"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"), (b"PK\x03\x04\x14\0", "application/zip"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"), (b"\0\0\0\x20ftypisom", "video/mp4"),
        (b"MZ\x90\0\x03", "application/x-msdownload"), (b"MZ is how it begins", TEXT),
        (b"BMW, Audi", TEXT), (b"ID3 or not", TEXT), (b"plain", TEXT), ("größe".encode(), TEXT),
        (b"\xff\xfeh\0i\0", TEXT), (bytes(9), BINARY), (b"a\0b", BINARY),
        (b"<svg xmlns=", "text/html"),
        (b"", TEXT),
    ],
)  # fmt: skip
def test_first_bytes_speak_for_a_type(head: bytes, mime: str) -> None:
    assert sniff(head) == mime


@pytest.mark.parametrize(
    ("declared", "sniffed", "fit"),
    [
        ("image/png", "image/png", True), ("image/png", "image/jpeg", False),
        ("image/png", "text/html", False), ("image/png", TEXT, False), ("image/png", BINARY, False),
        ("application/pdf", BINARY, False), ("application/octet-stream", "text/html", True),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document",
         "application/zip", True),
        ("application/msword", "application/zip", False),
        ("application/msword", "application/x-ole-storage", True),
        ("text/plain", "text/html", False), ("text/plain", "application/x-msdownload", False),
        ("text/markdown", "text/html", True), ("image/svg+xml", "text/html", True),
        ("image/svg+xml", TEXT, True), ("application/json", TEXT, True),
        ("text/csv", BINARY, False),
        ("audio/ogg", "application/ogg", True), ("video/quicktime", "video/mp4", True),
        ("application/x-own-format", BINARY, True), ("application/x-own-format", TEXT, False),
    ],
)  # fmt: skip
def test_a_type_fits_what_it_looks_like(declared: str, sniffed: str, fit: bool) -> None:
    assert fits(declared, sniffed) is fit


@given(st.binary(max_size=3000), st.lists(st.integers(1, 700), min_size=1, max_size=8))
def test_an_arrival_is_judged_alike_however_it_is_cut(data: bytes, cuts: list[int]) -> None:
    def outcome(pieces: list[bytes]) -> str | None:
        arrival = Arrival(len(data), "image/png")
        try:
            for piece in pieces:
                arrival.take(piece)
            arrival.finish()
        except FileRefused as refusal:
            return refusal.errors[0].keyword
        return None

    pieces: list[bytes] = []
    at = 0
    while at < len(data):
        cut = cuts[len(pieces) % len(cuts)]
        pieces.append(data[at : at + cut])
        at += cut
    assert outcome(pieces) == outcome([data])


def test_a_lie_is_told_by_the_first_bytes_and_excess_at_once() -> None:
    arrival = Arrival(10**10, "image/png")
    with pytest.raises(FileRefused):
        arrival.take(b"%PDF-1.7\n".ljust(2000))
    arrival = Arrival(2000, "image/png")
    arrival.take(PNG[:2000])
    with pytest.raises(FileRefused):
        arrival.take(b"!")


def test_a_policy_tells_all_that_is_wrong_at_once() -> None:
    policy = FilesPolicy(
        max_file_bytes=10, mime=("image/*", "application/pdf"), extensions=("pdf",)
    )
    check_file(policy, "a.PDF", "image/webp", 10)
    with pytest.raises(FileRefused) as refusal:
        check_file(policy, "apdf", "imagex/png", 11)
    assert [error.keyword for error in refusal.value.errors] == ["maxFileMB", "mime", "extensions"]
