"""What the document tells of an operation follows from its route."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from litestar import Response, get, patch, post
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody
from litestar.testing import TestClient

from app.db.installation import Installation
from app.http.documented import Documented, Sample
from app.http.guarding import needs
from app.http.schemas import Body, View
from app.kernel.refusals import RuleBroken
from app.main import create_app
from tests.stage import NobodyKnown

NO_TRANSACTION = {"no_transaction": True}


class TooHeavy(RuleBroken):
    """The thing weighs more than the floor bears."""

    slug = "too-heavy"
    title = "Too heavy"


class Thing(Body):
    name: str


class ThingView(View):
    """A thing, as it stands."""

    name: str


@post("/things", guards=[needs("a:write", "b:write")], sync_to_thread=False, opt=NO_TRANSACTION)
def make_thing(data: JSONBody[Thing | None] = None) -> ThingView:
    """Make a thing: it is yours."""
    return ThingView(name="")


@patch("/things/{thing_id:str}", guards=[needs()], sync_to_thread=False)
def change_thing(
    thing_id: FromPath[str],
    data: JSONBody[Thing],
    if_match: Annotated[str | None, HeaderParameter(name="If-Match")] = None,
) -> Response[ThingView]:
    """Change a thing."""
    return Response(ThingView(name=""))


@get("/things/{thing_id:str}", sync_to_thread=False)
def get_thing(thing_id: FromPath[str]) -> Response[ThingView]:
    """A thing."""
    return Response(ThingView(name=""))


@get(
    "/picture",
    sync_to_thread=False,
    opt={"documented": Documented(gives={"image/png": Sample("")})},
)
def get_picture(limit: FromQuery[int | None] = None) -> Response[bytes]:
    """A picture."""
    return Response(b"")


@post(
    "/loads",
    guards=[needs("a:write")],
    sync_to_thread=False,
    opt={"documented": Documented(refuses=(TooHeavy,)), "holds_secret": True},
)
def make_load() -> ThingView:
    """Put a thing down."""
    return ThingView(name="")


@pytest.fixture
def paths(installation: Installation) -> Any:
    routes = [make_thing, change_thing, get_thing, get_picture, make_load]
    with TestClient(create_app(installation, NobodyKnown(), routes)) as client:
        return client.get("/openapi.json").json()["paths"]


def test_a_body_that_may_be_left_out_is_not_required(paths: Any) -> None:
    assert paths["/things"]["post"]["requestBody"]["required"] is False
    assert paths["/things/{thing_id}"]["patch"]["requestBody"]["required"] is True


def test_one_scope_of_several_is_enough_and_a_token_may_be_all(paths: Any) -> None:
    making, changing = paths["/things"]["post"], paths["/things/{thing_id}"]["patch"]
    assert making["security"] == [{"oauth2": ["a:write"]}, {"oauth2": ["b:write"]}]
    assert "the scope `a:write` or `b:write`" in making["description"]
    assert changing["security"] == [{"oauth2": []}]
    assert paths["/picture"]["get"]["security"] == []


def test_the_first_words_are_the_title_and_the_shape_says_what_comes_back(paths: Any) -> None:
    assert paths["/things"]["post"]["summary"] == "Make a thing"
    assert paths["/things"]["post"]["operationId"] == "post_things"
    assert paths["/things"]["post"]["responses"]["201"]["description"] == "A thing, as it stands."


def test_the_way_in_says_what_may_be_refused(paths: Any) -> None:
    refused = {
        f"{method} {path}": set(one["responses"]) - {"200", "201"}
        for path, item in paths.items()
        for method, one in item.items()
    }
    assert refused["post /things"] == {"400", "401", "403", "413", "415", "422"}
    assert refused["get /things/{thing_id}"] == {"400", "401", "404", "503"}
    assert refused["patch /things/{thing_id}"] == (
        {"400", "401", "404", "409", "412", "413", "415", "422", "503"}
    )
    assert refused["get /picture"] == {"400", "401", "503"}


def test_a_rule_that_a_route_declares_stands_beside_those_of_its_status(paths: Any) -> None:
    responses = paths["/loads"]["post"]["responses"]
    told = responses["422"]["content"]["application/problem+json"]["examples"]
    assert set(told) == {"rule-broken", "idempotency-key-reused", "too-heavy"}
    assert told["too-heavy"]["value"]["detail"] == "The thing weighs more than the floor bears."
    assert "secret-already-shown" in responses["409"]["description"]


def test_an_edited_row_comes_with_its_tag_and_a_repeat_is_marked(paths: Any) -> None:
    for method in ("get", "patch"):
        assert "ETag" in paths["/things/{thing_id}"][method]["responses"]["200"]["headers"]
    made = paths["/things"]["post"]["responses"]["201"]
    assert set(made["headers"]) == {"Idempotency-Replayed"}
    assert paths["/things"]["post"]["parameters"][-1]["name"] == "Idempotency-Key"


def test_what_is_no_json_is_told_by_its_route(paths: Any) -> None:
    content = paths["/picture"]["get"]["responses"]["200"]["content"]
    assert content == {"image/png": {"schema": {}, "example": ""}}


def test_a_parameter_is_left_out_rather_than_null(paths: Any) -> None:
    (limit,) = paths["/picture"]["get"]["parameters"]
    assert limit["schema"] == {"type": "integer", "minimum": 1, "maximum": 200}
