from __future__ import annotations

import hashlib

import pytest

from keyturn_cli.standin.errors import ApiError
from keyturn_cli.standin.form import Content, Form

_BODY = (
    b"preamble\r\n--b\r\n"
    b'Content-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--b\r\n'
    b'content-disposition: form-data; name="file"; filename="a;b.bin"\r\n'
    b"Content-Type: audio/wav\r\n\r\n\r\n--a\r\n-- \r\n--b\r\n"
    b'Content-Disposition: form-data; name="empty"\r\n\r\n\r\n--b--\r\nepilogue\r\n--b\r\n'
)


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
def test_a_form_is_the_same_in_pieces_of_any_size(step: int) -> None:
    form = Form("b")
    for start in range(0, len(_BODY), step):
        form.feed(_BODY[start : start + step])

    assert [(part.name, part.filename, part.content.text()) for part in form.parts] == [
        ("model", None, "whisper-1"),
        ("file", "a;b.bin", "\r\n--a\r\n-- "),
        ("empty", None, ""),
    ]
    assert form.parts[1].content_type == "audio/wav"
    assert form.is_finished


def test_a_part_keeps_its_size_and_digest_beyond_what_it_keeps_of_its_bytes() -> None:
    content = Content()
    for _ in range(3):
        content.feed(b"x" * 1_000_000)

    assert (content.size, len(content.head)) == (3_000_000, 1024 * 1024)
    assert content.sha256 == hashlib.sha256(b"x" * 3_000_000).hexdigest()
    assert sum(len(piece) for piece in content.pieces()) == 3_000_000


def test_an_empty_content_has_no_pieces() -> None:
    assert list(Content().pieces()) == []


def test_fields_are_found_by_name_and_as_arrays() -> None:
    form = Form("b")
    form.feed(
        b'--b\r\nContent-Disposition: form-data; name="image[]"\r\n\r\n1\r\n'
        b'--b\r\nContent-Disposition: form-data; name="image[]"\r\n\r\n2\r\n--b--'
    )

    assert form.required("image").content.text() == "1"
    assert form.text("image[]") == "1"
    assert form.text("image") is None
    assert form.count("n") == 1
    with pytest.raises(ApiError):
        form.required("model")


@pytest.mark.parametrize("count", ["0", "11", "x", "-1"])
def test_a_count_is_a_small_positive_number(count: str) -> None:
    form = Form("b")
    form.feed(f'--b\r\nContent-Disposition: form-data; name="n"\r\n\r\n{count}\r\n--b--'.encode())

    with pytest.raises(ApiError):
        form.count("n")
