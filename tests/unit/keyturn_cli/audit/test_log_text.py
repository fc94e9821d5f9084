from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from keyturn_cli.audit.log_text import (
    CHUNK_BYTES,
    DamagedLogError,
    GzipText,
    LogText,
    PlainText,
    open_file,
    open_stream,
)

Opened = Callable[[Path], PlainText | GzipText]

# Compresses little, so that packed text is longer than what is read of it at a time.
TEXT = hashlib.shake_128(b"log").digest(3 * CHUNK_BYTES)


def _all(text: LogText) -> bytes:
    pieces = []
    while piece := text.read():
        pieces.append(piece)
    return b"".join(pieces)


@pytest.fixture
def opened() -> Iterator[Opened]:
    with ExitStack() as stack:
        yield lambda path: stack.enter_context(closing(open_file(path)))


def _file(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        TEXT,
        gzip.compress(TEXT),
        gzip.compress(TEXT[:100_000]) + gzip.compress(TEXT[100_000:]),
        gzip.compress(TEXT) + bytes(512),
    ],
    ids=["plain", "gzip", "gzip of two members", "padded gzip"],
)
def test_a_file_is_read_whole_whatever_it_is_called(
    tmp_path: Path, opened: Opened, content: bytes
) -> None:
    text = opened(_file(tmp_path / "audit.log.1", content))

    assert _all(text) == TEXT
    assert text.stored_bytes_read == len(content)


def test_repetitive_text_is_unpacked_in_pieces_of_bounded_size(
    tmp_path: Path, opened: Opened
) -> None:
    text = opened(_file(tmp_path / "audit.log.gz", gzip.compress(bytes(50 * CHUNK_BYTES))))

    sizes = []
    while piece := text.read():
        sizes.append(len(piece))

    assert sum(sizes) == 50 * CHUNK_BYTES
    assert max(sizes) <= CHUNK_BYTES


@pytest.mark.parametrize("content", [TEXT, gzip.compress(TEXT)], ids=["plain", "gzip"])
def test_text_is_left_out_to_the_byte(tmp_path: Path, opened: Opened, content: bytes) -> None:
    text = opened(_file(tmp_path / "audit.log", content))

    text.skip(CHUNK_BYTES + 7)

    assert _all(text) == TEXT[CHUNK_BYTES + 7 :]


def test_a_gzipped_file_that_breaks_off_gives_what_it_has_and_then_fails(
    tmp_path: Path, opened: Opened
) -> None:
    text = opened(_file(tmp_path / "audit.log.gz", gzip.compress(TEXT)[: 2 * CHUNK_BYTES]))

    beginning = text.read()

    assert beginning
    assert TEXT.startswith(beginning)
    with pytest.raises(DamagedLogError, match="breaks off"):
        _all(text)


def test_a_gzipped_file_with_an_altered_byte_fails(tmp_path: Path, opened: Opened) -> None:
    packed = bytearray(gzip.compress(TEXT))
    packed[-6] ^= 1  # of the checksum
    text = opened(_file(tmp_path / "audit.log.gz", bytes(packed)))

    with pytest.raises(DamagedLogError, match="damaged"):
        _all(text)


def test_what_cannot_be_unpacked_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DamagedLogError, match="zstd"):
        open_file(_file(tmp_path / "audit.log.zst", b"\x28\xb5\x2f\xfd" + bytes(20)))


def test_a_plain_file_may_grow_while_it_is_read(tmp_path: Path, opened: Opened) -> None:
    path = _file(tmp_path / "audit.log", b"one\n")
    text = opened(path)
    assert _all(text) == b"one\n"

    with path.open("ab") as file:
        file.write(b"two\n")

    assert _all(text) == b"two\n"
    assert not text.is_ended


@pytest.mark.parametrize("content", [b"one\ntwo\n", gzip.compress(b"one\ntwo\n")])
def test_a_stream_is_read_plain_or_gzipped_and_ends(content: bytes) -> None:
    source, sink = os.pipe()
    os.write(sink, content)
    os.close(sink)
    text = open_stream(source)

    assert text.read(4) == b"one\n"
    assert _all(text) == b"two\n"
    assert text.is_ended
    os.close(source)


def test_a_stream_to_which_nothing_comes_has_not_ended() -> None:
    source, sink = os.pipe()
    os.write(sink, b"one\n")
    text = open_stream(source)
    assert text.read() == b"one\n"

    assert text.read() == b""
    assert not text.is_ended

    os.write(sink, b"two\n")
    assert text.read() == b"two\n"
    os.close(source)
    os.close(sink)
