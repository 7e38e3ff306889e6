"""Frames made by hand here are the frames that a library makes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.frame_protocol import FrameProtocol

from pxbox.ws.frames import is_close, payload_of, text_frame


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 1024 * 1024])
def test_a_text_frame_of_every_length_class_is_what_wsproto_makes(size: int) -> None:
    payload = b"x" * size
    frame = text_frame(payload)
    assert frame == bytes(FrameProtocol(client=False, extensions=[]).send_data(payload.decode()))
    assert payload_of(frame) == payload


@given(st.text(max_size=300))
def test_text_is_framed_as_it_is(text: str) -> None:
    protocol = FrameProtocol(client=True, extensions=[])
    protocol.receive_bytes(text_frame(text.encode()))
    (frame,) = protocol.received_frames()
    assert frame.payload == text
    assert frame.message_finished


@pytest.mark.parametrize("code", [None, 1000, 4999])
def test_close_frames_are_told_from_others(code: int | None) -> None:
    protocol = FrameProtocol(client=False, extensions=[])
    assert is_close(bytes(protocol.close(code)))
    assert not is_close(bytes(protocol.ping(b"x")))
    assert not is_close(text_frame(b"\x88"))
    assert not is_close(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
    assert not is_close(b"")
