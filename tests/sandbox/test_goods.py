"""The demo's goods are real: open data with their source and licence, and one live API."""

from __future__ import annotations

import csv

from app.sandbox.goods import DATA, china_divisions, divisions_api, world_gdp


def test_every_data_file_names_its_source_and_licence() -> None:
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in (DATA / "README.md").read_text("utf-8").splitlines()
        if line.startswith("|") and ".csv" in line
    ]
    told = {name.strip(): row[2] for row in rows for name in row[0].split(",")}
    assert set(told) == {path.name for path in DATA.glob("*.csv")}
    for source in told.values():
        assert "](https://" in source
        assert source.endswith((" WTFPL", " PDDL 1.0"))


def test_two_data_sets_and_one_live_api_are_on_offer() -> None:
    hosted = [world_gdp(), china_divisions()]
    assert len({goods.source["file"] for goods in hosted}) == 2
    for goods in hosted:
        lines = goods.source["content"].decode("utf-8-sig").splitlines()
        assert len(lines) > 2000, "a real table"
        columns = {field["name"] for field in goods.listing["metadata"]["schema"]}
        assert columns == set(next(csv.reader(lines)))
    api = divisions_api("http://127.0.0.1:9", "key")
    assert api.source["upstream"]["base_url"] == "http://127.0.0.1:9"
    assert api.listing["delivery"] == "upstream"
