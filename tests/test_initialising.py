"""An installation is made once, however often and by however many it is asked for."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from app.accounts.oauth.token_keys import ensure_token_key, opened_key
from app.initialising import Initialised, initialise
from app.kernel.actor import OPERATOR
from app.opening import open_home
from app.settings import Settings


def test_of_many_that_initialise_one_home_at_once_one_makes_it(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")

    def make(_number: int) -> Initialised:
        return initialise(settings)

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(make, range(4)))
    assert len({one["admin_client_id"] for one in made}) == 1
    assert len([one for one in made if one["admin_client_secret"]]) == 1
    installation = open_home(settings)
    with installation.transaction(OPERATOR) as session:
        opened_key(installation, ensure_token_key(session))
    assert stat.S_IMODE((settings.home / "master.keys").stat().st_mode) == 0o600
    assert stat.S_IMODE(settings.home.stat().st_mode) == 0o700
