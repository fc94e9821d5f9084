from __future__ import annotations

from functools import partial

import pytest

from keyvault_svc.domain.errors import KeyChangedMeanwhileError, KeyRecordUnreadableError
from keyvault_svc.vault.kv_documents import Document, KvDocuments
from svc_runtime.vault.errors import VaultUnavailableError
from tests.fakes.fake_kv_engine import FakeKvEngine

PATH = "users/alice/keys/openai"
HEADERS = {"X-Keyturn-Request-Id": "request-0001"}
READ, WRITE = f"get data/{PATH}", f"post data/{PATH}"
VERSIONS, DESTROY, DROP = f"get metadata/{PATH}", f"post destroy/{PATH}", f"delete metadata/{PATH}"


async def _engine(*texts: str) -> FakeKvEngine:
    engine = FakeKvEngine()
    for revision, text in enumerate(texts):
        await KvDocuments(engine.session).write(PATH, text, revision, HEADERS)
    engine.line.requests.clear()
    engine.headers.clear()
    return engine


def _write(engine: FakeKvEngine, text: str) -> None:
    versions = engine.versions.setdefault(PATH, {})
    versions[max(versions, default=0) + 1] = {"record": text}


async def test_a_document_is_read_by_one_request_with_its_headers() -> None:
    engine = await _engine("a", "b")

    assert await KvDocuments(engine.session).read(PATH, HEADERS) == Document("b", 2)
    assert engine.line.requests == [READ]
    assert engine.headers == [HEADERS]


async def test_what_is_not_there_is_none() -> None:
    assert await KvDocuments(FakeKvEngine().session).read(PATH, HEADERS) is None


@pytest.mark.parametrize("data", [{}, {"record": 5}, {"record": "a", "more": "b"}, {"other": "a"}])
async def test_what_is_no_document_is_refused(data: dict[str, object]) -> None:
    engine = FakeKvEngine()
    engine.versions[PATH] = {1: data}

    with pytest.raises(KeyRecordUnreadableError):
        await KvDocuments(engine.session).read(PATH, HEADERS)


async def test_a_write_is_one_request_and_returns_its_revision() -> None:
    engine = await _engine("a")

    assert await KvDocuments(engine.session).write(PATH, "b", 1, HEADERS) == 2
    assert engine.line.requests == [WRITE]


async def test_a_write_on_what_somebody_else_wrote_is_refused() -> None:
    engine = await _engine("a", "theirs")

    with pytest.raises(KeyChangedMeanwhileError):
        await KvDocuments(engine.session).write(PATH, "mine", 1, HEADERS)

    assert await KvDocuments(engine.session).read(PATH, HEADERS) == Document("theirs", 2)


async def test_a_write_whose_answer_is_lost_is_found_to_be_done() -> None:
    engine = await _engine("a")
    engine.line.break_at(1, is_answer_lost=True)
    engine.line.before(READ, engine.line.mend)

    assert await KvDocuments(engine.session).write(PATH, "b", 1, HEADERS) == 2
    assert engine.line.requests == [WRITE, READ]


async def test_a_write_that_did_not_arrive_is_an_outage() -> None:
    engine = await _engine("a")
    engine.line.break_at(1)
    engine.line.before(READ, engine.line.mend)

    with pytest.raises(VaultUnavailableError):
        await KvDocuments(engine.session).write(PATH, "b", 1, HEADERS)

    assert await KvDocuments(engine.session).read(PATH, HEADERS) == Document("a", 1)


async def test_a_write_that_meets_itself_is_done() -> None:
    engine = await _engine("a")
    engine.line.before(WRITE, partial(_write, engine, "b"))

    assert await KvDocuments(engine.session).write(PATH, "b", 1, HEADERS) == 2


async def test_versions_before_a_revision_are_destroyed_and_no_other() -> None:
    engine = await _engine("a", "b", "c")

    for _ in range(2):
        await KvDocuments(engine.session).destroy_before(PATH, 3, HEADERS)

    assert engine.versions[PATH] == {1: None, 2: None, 3: {"record": "c"}}
    assert engine.line.requests == [VERSIONS, DESTROY, VERSIONS]


async def test_a_deletion_leaves_nothing_and_says_how_much_there_was() -> None:
    engine = await _engine("a", "b", "nothing")

    assert await KvDocuments(engine.session).delete(PATH, HEADERS) == 3
    assert engine.versions == {}
    assert engine.line.requests == [VERSIONS, DESTROY, VERSIONS, DROP, VERSIONS]
    assert await KvDocuments(engine.session).delete(PATH, HEADERS) == 0


@pytest.mark.parametrize("is_answer_lost", [False, True])
@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
async def test_while_anything_of_it_is_there_a_deletion_that_broke_off_can_be_read(
    number: int, *, is_answer_lost: bool
) -> None:
    engine = await _engine("a", "b", "nothing")
    engine.line.break_at(number, is_answer_lost=is_answer_lost)
    with pytest.raises(VaultUnavailableError):
        await KvDocuments(engine.session).delete(PATH, HEADERS)
    engine.line.mend()

    left = await KvDocuments(engine.session).read(PATH, HEADERS)
    assert left == (Document("nothing", 3) if PATH in engine.versions else None)

    await KvDocuments(engine.session).delete(PATH, HEADERS)
    assert engine.versions == {}


async def test_a_deletion_stops_at_what_somebody_wrote_meanwhile() -> None:
    engine = await _engine("a", "nothing")
    engine.line.before(DESTROY, partial(_write, engine, "new"))

    with pytest.raises(KeyChangedMeanwhileError):
        await KvDocuments(engine.session).delete(PATH, HEADERS)

    assert await KvDocuments(engine.session).read(PATH, HEADERS) == Document("new", 3)


async def test_what_was_put_in_the_place_of_a_deleted_document_is_told() -> None:
    engine = await _engine("a", "nothing")
    engine.line.before(DROP, lambda: engine.line.before(VERSIONS, partial(_write, engine, "new")))

    with pytest.raises(KeyChangedMeanwhileError):
        await KvDocuments(engine.session).delete(PATH, HEADERS)

    assert await KvDocuments(engine.session).read(PATH, HEADERS) == Document("new", 1)


async def test_names_are_sorted_and_none_where_there_is_nothing() -> None:
    engine = FakeKvEngine()
    for key_id in ("b", "a"):
        engine.versions[f"users/alice/keys/{key_id}"] = {1: {"record": "a"}}

    assert await KvDocuments(engine.session).names("users/alice/keys", HEADERS) == ["a", "b"]
    assert await KvDocuments(engine.session).names("users/bob/keys", HEADERS) == []
