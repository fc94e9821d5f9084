from __future__ import annotations

import email
import email.policy
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_svc.domain.multipart import MultipartReader, is_multipart
from svc_runtime.service_error import InvalidFieldError

TYPE = "multipart/form-data; boundary=b0"
MODEL = b'--b0\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
FILE = (
    b'--b0\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\n'
    b"Content-Type: audio/mpeg\r\n\r\n\x00\xff\r\n--b\r\n--\r\n"
)
END = b"--b0--\r\n"
DISPOSITION = "must have parts with a Content-Disposition"


def _part(content: bytes, head: bytes = b'Content-Disposition: form-data; name="x"') -> bytes:
    return b"--b0\r\n" + head + b"\r\n\r\n" + content + b"\r\n"


def _named(name: bytes, content: bytes = b"o1") -> bytes:
    return _part(content, b"Content-Disposition: form-data; name=" + name)


def _models(body: bytes, *, cuts: int = 0, content_type: str = TYPE) -> tuple[str, ...]:
    reader = MultipartReader(content_type)
    step = cuts or len(body) or 1
    for start in range(0, len(body), step):
        reader.feed(body[start : start + step])
    reader.must_be_whole()
    return reader.models


def _refusal(body: bytes, content_type: str = TYPE) -> InvalidFieldError:
    with pytest.raises(InvalidFieldError) as caught:
        _models(body, content_type=content_type)
    return caught.value


@pytest.mark.parametrize("body", [MODEL + FILE + END, FILE + MODEL + END, FILE + MODEL + b"--b0--"])
@pytest.mark.parametrize("cuts", [0, 1, 2, 3, 5, 7, 64])
def test_the_model_is_found_wherever_it_stands_and_however_the_body_is_cut(
    body: bytes, cuts: int
) -> None:
    assert _models(body, cuts=cuts) == ("whisper-1",)


@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/form-data; boundary="b0"',
        "Multipart/Form-Data;boundary=b0",
        " multipart/form-data ; boundary=b0 ; ",
    ],
)
def test_the_boundary_is_read_from_the_content_type(content_type: str) -> None:
    assert _models(MODEL + END, content_type=content_type) == ("whisper-1",)


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=b0; boundary=b1",
        "multipart/form-data; boundary=b0; charset=utf-16",
        "multipart/form-data; boundary*=utf-8''b0",
        'multipart/form-data; boundary="b\\0"',
        "multipart/form-data; boundary=b 0",
        "multipart/form-data; boundary=" + "b" * 71,
        "multipart/mixed; boundary=b0",
        "multipart/related; boundary=b0",
        "multipart/form-data, multipart/form-data; boundary=b0",
    ],
)
def test_any_other_content_type_is_refused(content_type: str) -> None:
    assert is_multipart(content_type)
    assert _refusal(MODEL + END, content_type).field == "content-type"


@pytest.mark.parametrize(
    "name",
    [
        b'"model"',
        b"model",
        b'"Model"',
        b'"MODEL"',
        b'"model[]"',
        b'"session[model]"',
        b'"x.model"',
        b'"mode%6c"',
    ],
)
def test_a_field_that_a_server_could_take_for_the_model_is_one(name: bytes) -> None:
    assert _models(_named(name) + END) == ("o1",)


@pytest.mark.parametrize("name", [b'"models"', b'"x-model"', b'"modelz"', b'"\xef\xbd\x8dodel"'])
def test_a_field_of_another_name_is_none(name: bytes) -> None:
    assert _models(_named(name) + END) == ()


def test_several_models_are_all_found() -> None:
    body = MODEL + _named(b'"model"', b"o1") + _named(b'"model"', b"whisper-1") + END

    assert _models(body) == ("whisper-1", "o1")


@pytest.mark.parametrize(
    ("content", "models"),
    [
        (b'{"model":"o1"}', ("o1",)),
        (b' {"session":{"audio":{"model":"o1"}},"Model":"o3"}', ("o1", "o3")),
        (b'[{"m\\u006fdel":"o1"}]', ("o1",)),
        (b"{not json", ()),
        (b"[music] la la", ()),
        (b"model", ()),
        (b"", ()),
    ],
)
def test_a_field_in_json_names_the_models_inside(content: bytes, models: tuple[str, ...]) -> None:
    assert _models(_part(content) + END) == models


@pytest.mark.parametrize(
    "content",
    [
        b'{"model":"a","model":"b"}',
        b'{"model":"a","x":NaN}',
        b'{"a":1,"a":"model"}',
        b"{'model':'a'}",
        b'{"m\\u006fdel":"a",}',
        b'\xef\xbb\xbf{"model":"a"',
        b'{"x":"' + b"y" * 70_000 + b'"}',
    ],
    ids=lambda content: ascii(content[:30]),
)
def test_a_field_whose_models_two_readers_could_read_differently_is_refused(content: bytes) -> None:
    assert _refusal(_part(content) + END).field == "body"


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a\nb", "ö".encode(), b"m" * 257, b"m" * 70_000])
def test_a_model_that_cannot_be_a_name_is_refused(content: bytes) -> None:
    assert _refusal(_named(b'"model"', content) + END).field in {"model", "body"}


def test_a_file_is_passed_over_whatever_it_holds() -> None:
    head = b'Content-Disposition: form-data; name="file"; filename="m.json"'
    content = b'{"model":"o1","model":"o3"}' * 10_000

    assert _models(_part(content, head) + MODEL + END, cuts=1000) == ("whisper-1",)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b0",
        b"--b0\r\n",
        b"--b0--",
        b"--b0--\r\n",
        MODEL,
        MODEL + b"--b0-",
        MODEL + b"--b0-- ",
        MODEL + END + MODEL + END,
        MODEL + END + b"x",
        b"preamble\r\n" + MODEL + END,
        b"\r\n" + MODEL + END,
        b"\n" + MODEL + END,
        MODEL.replace(b"\r\n", b"\n") + END.replace(b"\r\n", b"\n"),
        MODEL.replace(b"--b0\r\n", b"--b0 \r\n") + END,
        MODEL.replace(b"--b0\r\n", b"--b0x\r\n") + END,
        MODEL.replace(b"whisper-1\r\n", b"whisper-1\n") + END,
        MODEL.replace(b"whisper-1\r\n", b"whisper-1") + END,
        _part(b"a--b0b") + END,
        _part(b"a\n--b0\nContent-Disposition: form-data; name=model\n\no1") + END,
        b"--b0\r\n\r\ncontent\r\n" + END,
        _part(b"x", b"Content-Disposition: form-data; name=x" + b" " * 9000) + END,
        _part(b"x") * 1001 + END,
    ],
    ids=lambda body: f"{zlib.crc32(body):x}",
)
def test_a_body_that_two_readers_could_cut_differently_is_refused(body: bytes) -> None:
    assert _refusal(body).field == "body"


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Type: text/plain",
        b"Content-Disposition: form-data",
        b"Content-Disposition: form-data; filename=x",
        b"Content-Disposition: attachment; name=x",
        b'Content-Disposition: form-data; name="x"; name="model"',
        b'Content-Disposition: form-data; name="x"; NAME="model"',
        b"Content-Disposition: form-data; name*=utf-8''model",
        b"Content-Disposition: form-data; name=x; name*=utf-8''model",
        b'Content-Disposition: form-data; name="mo\\del"',
        b'Content-Disposition: form-data; name="x\\"; name=\\"model"',
        b'Content-Disposition: form-data; name="x"; filename="a\\"; name="model"',
        b'Content-Disposition: form-data; name="x" name="model"',
        b"Content-Disposition: form-data; name='x'; other=1",
        b'Content-Disposition: form-data; name="x\r\n y"',
        b'Content-Disposition: form-data;\r\n name="x"',
        b'Content-Disposition : form-data; name="x"',
        b'Content-Disposition: form-data; name="x"\r\nContent-Disposition: form-data; name="y"',
        b'Content-Disposition: form-data; name="x"\nX: y',
        b'Content-Disposition: form-data; name="x"\rX: y',
        b'Content-Disposition: form-data; name="x"\x00',
        b'Content-Disposition: form-data; name="\xff"',
        b'Content-Disposition: form-data; name="_charset_"',
        b'Content-Disposition: form-data; name="model"; filename="x"',
        b'Content-Disposition: form-data; name="x"\r\nContent-Transfer-Encoding: base64',
        b'Content-Disposition: form-data; name="x"\r\nContent-Transfer-Encoding: quoted-printable',
        b'Content-Disposition: form-data; name="x"\r\nContent-Type: multipart/mixed; boundary=c',
        b'Content-Disposition: form-data; name="x"\r\nContent-Type: text/plain; charset=utf-7',
        b"junk",
    ],
    ids=ascii,
)
def test_part_headers_that_two_readers_could_read_differently_are_refused(head: bytes) -> None:
    assert _refusal(_part(b"o1", head) + END).field == "body"


@pytest.mark.parametrize(
    "head",
    [
        b'content-disposition: form-data; name="x"; filename="\xc3\xb6 %22.mp3"',
        b"Content-Disposition: form-data; name=x; filename*=utf-8''%c3%b6.mp3",
        b'Content-Disposition: form-data; name="x"\r\nContent-Type: text/plain; charset=UTF-8',
        b'Content-Disposition: form-data; name="x"\r\nContent-Transfer-Encoding: binary',
        b'Content-Length: 2\r\nContent-Disposition: form-data; name=""',
    ],
    ids=ascii,
)
def test_what_clients_send_is_accepted(head: bytes) -> None:
    assert _models(_part(b"o1", head) + MODEL + END) == ("whisper-1",)


_TEXT = st.text("abcxyz0 ", max_size=20)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["model", "x", "file"]), _TEXT), min_size=1, max_size=6),
    st.integers(1, 40),
)
def test_it_sees_the_models_that_a_lenient_reader_sees(
    fields: list[tuple[str, str]], cuts: int
) -> None:
    parts = [
        _part(text.encode(), f'Content-Disposition: form-data; name="{name}"'.encode())
        for name, text in fields
    ]
    body = b"".join(parts) + END

    assert set(_models(body, cuts=cuts)) == _lenient(body)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 200), st.sampled_from([b"\n", b"\r", b"--b0", b'"', b";", b"model", b"\x00"]))
def test_a_damaged_body_is_refused_or_read_as_a_lenient_reader_reads_it(
    position: int, junk: bytes
) -> None:
    body = FILE + MODEL + END
    damaged = body[:position] + junk + body[position:]
    try:
        models = _models(damaged)
    except InvalidFieldError:
        return

    assert _lenient(damaged) <= set(models)


def _lenient(body: bytes) -> set[str]:
    """Return what Python's own parser of messages takes for models."""
    message = email.message_from_bytes(
        b"Content-Type: " + TYPE.encode() + b"\r\n\r\n" + body, policy=email.policy.HTTP
    )
    models = set()
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        if str(name).lower() == "model" and part.get_filename() is None:
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            models.add(content.decode().strip())
    return models - {""}
