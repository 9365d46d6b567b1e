"""What a password must be: long, and not what anybody would try first."""

from __future__ import annotations

import pytest

from app.accounts.errors import PasswordTooWeak
from app.accounts.passwords import check_password

EMAIL = "wang.xiaoming@data.example.cn"
NAME = "王小明"


@pytest.mark.parametrize(
    "password",
    [
        "fourteen chars",
        "x" * 129,
        "aaaaaaaaaaaaaaaa",
        "abababababababab",
        "123456789012345",
        "passwordpassword",
        "Password12345678",
        "P@ssw0rd!P@ssw0rd!",
        "qwertyuiopasdfgh",
        "1qaz2wsx3edc4rfv",
        "zyxwvutsrqponmlk",
        "iloveyou5201314!!",
        "admin admin admin",
        "xk7xk7xk7xk7xk7xk7",
        "王小明的一个非常长的口令啊啊啊啊",
        "the xiaoming of old times",
        "WANG.XIAOMING-is-here",
        "ｐａｓｓｗｏｒｄｐａｓｓｗｏｒｄ",
        "智谷密码智谷密码智谷密码智谷密码",
    ],
)
def test_what_anybody_would_try_is_refused(password: str) -> None:
    with pytest.raises(PasswordTooWeak):
        check_password(password, EMAIL, NAME)


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "staple of a longer sort",
        "alllowercasebutlong",
        "床前明月光疑是地上霜举头望明月低头",
        "729401863520947",
        "password of my neighbours cat",
    ],
)
def test_length_is_enough_and_no_kind_of_character_is_asked_for(password: str) -> None:
    check_password(password, EMAIL, NAME)


def test_a_short_or_missing_name_forbids_nothing() -> None:
    check_password("correct horse battery", "al@example.cn", "Al")
    check_password("correct horse battery", "", "")
