"""Clock, ids, canonical JSON and sealing: small values that everything stands on."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import assume, given
from hypothesis import strategies as st

from app.kernel import clock, ids
from app.kernel.canonical import NotCanonical, canonical
from app.kernel.key_file import ensure_key_file
from app.kernel.sealing import MasterKeys, SealBroken


def test_a_day_in_chongqing_starts_at_sixteen_hundred_utc_the_day_before() -> None:
    assert clock.day_start(date(2026, 11, 30)) == datetime(2026, 11, 29, 16, tzinfo=UTC)
    assert clock.day_after(date(2026, 11, 30)) == datetime(2026, 11, 30, 16, tzinfo=UTC)
    assert clock.local_day(datetime(2026, 11, 30, 16, tzinfo=UTC)) == date(2026, 12, 1)


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))
def test_moments_survive_text_and_microseconds(moment: datetime) -> None:
    assert clock.from_rfc3339(clock.rfc3339(moment)) == moment
    assert clock.from_epoch_us(clock.epoch_us(moment)) == moment


def test_text_of_moments_sorts_as_time_whatever_their_zone() -> None:
    east = datetime(2026, 1, 1, 8, tzinfo=timezone(timedelta(hours=8)))
    moments = [east, east + timedelta(microseconds=1), east + timedelta(seconds=1)]
    texts = [clock.rfc3339(moment) for moment in moments]
    assert texts == sorted(texts)
    assert texts[0] == "2026-01-01T00:00:00.000000Z"


@pytest.mark.parametrize("day", [date.min, date(1899, 12, 31), date(9999, 1, 1), date.max])
def test_a_day_at_the_edge_of_the_calendar_is_refused(day: date) -> None:
    for bound in (clock.day_start, clock.day_after):
        with pytest.raises(clock.DayOutOfRange):
            bound(day)
    assert clock.day_after(clock.LAST_DAY) == datetime(9998, 12, 31, 16, tzinfo=UTC)
    assert clock.day_start(clock.FIRST_DAY).year == 1899


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_moment_that_utc_cannot_show_is_not_read(text: str) -> None:
    with pytest.raises(ValueError, match="calendar"):
        clock.from_rfc3339(text)


def test_a_naive_moment_is_a_bug() -> None:
    with pytest.raises(ValueError, match="time zone"):
        clock.utc(datetime(2026, 1, 1))


def test_ids_are_new_ordered_and_know_their_kind() -> None:
    made = [ids.new_id("ctr") for _ in range(10_000)]
    assert len(set(made)) == len(made)
    assert made == sorted(made)
    assert {ids.kind_of(text) for text in made} == {"ctr"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ctr_",
        "ctr_1",
        "xyz_" + "0" * 26,
        "ctr_" + "u" * 26,
        "CTR_" + "0" * 26,
        "ctr_8" + "0" * 25,
    ],
)
def test_what_is_not_an_id_has_no_kind(text: str) -> None:
    assert ids.kind_of(text) is None
    assert ids.kind_of("ctr_" + "0" * 26) == "ctr"


def test_an_id_holds_a_version_7_uuid() -> None:
    text = ids.new_id("evt").removeprefix("evt_")
    number = 0
    for character in text:
        number = number * 32 + ids.ALPHABET.index(character)
    assert number >> 76 & 0xF == 7
    assert number >> 62 & 0b11 == 0b10


def test_a_forked_process_makes_ids_of_its_own() -> None:
    story = (
        "import os; from app.kernel.ids import new_id; new_id('evt'); child = os.fork();"
        "os.write(1, f'{new_id(\"evt\")}\\n'.encode()); child and os.waitpid(child, 0)"
    )
    made = subprocess.run(
        [sys.executable, "-c", story], capture_output=True, text=True, check=True
    ).stdout.split()
    assert len(made) == 2
    assert len({text[-12:] for text in made}) == 2


# RFC 8785 §3.2.2 and §3.2.3: escapes and the order of members by UTF-16 code units.
def test_canonical_json_is_the_rfcs_own_example_where_it_applies() -> None:
    value = {"€": "Euro Sign", "\r": "Carriage Return", "דּ": "Hebrew", "1": "One", "😀": "Smile"}
    names = list(json.loads(canonical({k: v for k, v in value.items() if k != "דּ"})))
    assert names == ["\r", "1", "€", "😀"]
    assert canonical({"b": [True, None, 1], "a": '"\\\n\u000f'}) == (
        rb'{"a":"\"\\\n\u000f","b":[true,null,1]}'
    )


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        2**53,
        -(2**53),
        {"a": [{"b": 0.1}]},
        {1: "a"},
        "e\u0301",
        {"e\u0301": 1},
        "\ud800",
        b"a",
        {1, 2},
    ],
)
def test_what_has_no_one_form_is_not_canonical(value: Any) -> None:
    with pytest.raises(NotCanonical):
        canonical(value)


def test_a_value_that_is_not_canonical_is_named_by_its_path() -> None:
    with pytest.raises(NotCanonical, match="/a/0/b"):
        canonical({"a": [{"b": 0.1}]})


TEXT = st.text(st.one_of(st.characters(max_codepoint=127), st.sampled_from("智é€😀\ufb00")))
NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
)


@given(DOCUMENTS)
def test_every_document_has_the_bytes_of_the_rfcs_own_library(document: Any) -> None:
    assert canonical(document) == rfc8785.dumps(document)


KEYS = MasterKeys("new", {"new": b"n" * 32, "old": b"o" * 32})


def test_a_sealed_secret_opens_for_its_purpose_only() -> None:
    sealed = KEYS.seal("密码".encode(), "upstream:lst_1")
    assert KEYS.unseal(sealed, "upstream:lst_1").decode() == "密码"
    with pytest.raises(SealBroken):
        KEYS.unseal(sealed, "upstream:lst_2")


def test_secrets_under_an_older_key_still_open_and_new_ones_use_the_newer() -> None:
    old = MasterKeys("old", {"old": b"o" * 32}).seal(b"secret", "p")
    assert KEYS.unseal(old, "p") == b"secret"
    assert KEYS.seal(b"secret", "p").split(".")[1] == "new"
    with pytest.raises(SealBroken):
        MasterKeys("other", {"other": b"x" * 32}).unseal(old, "p")


@given(st.data())
def test_no_altered_sealed_text_opens(data: st.DataObject) -> None:
    sealed = KEYS.seal(b"secret", "p")  # another text each time: what is drawn must not hang on it
    index = data.draw(st.integers(0, len(sealed) - 1))
    character = data.draw(st.sampled_from("abcABC019-_."))
    assume(character != sealed[index])
    altered = sealed[:index] + character + sealed[index + 1 :]
    try:
        assert KEYS.unseal(altered, "p") == b"secret", "stray bits of base64 may spell it twice"
    except SealBroken:
        pass


def test_the_file_of_master_keys_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "home" / "master.keys"
    ensure_key_file(path)
    made = path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    ensure_key_file(path)
    assert path.read_bytes() == made
    path.write_text("{}")
    with pytest.raises(SealBroken):
        ensure_key_file(path)
    assert path.read_text() == "{}"
