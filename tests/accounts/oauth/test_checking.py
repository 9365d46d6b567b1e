"""Fsck's A1 of delegations: nobody is let in, or shut out, behind the log's back."""

from __future__ import annotations

from app.accounts.oauth.checking import problems
from app.db.installation import Installation
from app.kernel.actor import OPERATOR
from tests.accounts.oauth.scenes import Scene
from tests.breaking import missed

ENDED = "ended_at IS NOT NULL"
BREAKS = {
    "one that nobody gave": (
        "DELETE FROM audit_leaf WHERE kind = 'delegation:given'",
        "was given without a leaf",
    ),
    "one of more than was given": (
        "UPDATE delegation SET scope = 'admin'",
        "was given without a leaf",
    ),
    "one that lives again": (
        f"UPDATE delegation SET ended_at = NULL WHERE {ENDED}",
        "has not ended as the log says",
    ),
    "one that was ended by nobody": (
        "UPDATE delegation SET ended_at = began_at WHERE ended_at IS NULL",
        "has not ended as the log says",
    ),
}


def test_a_delegation_that_the_log_does_not_tell_is_named(
    scene: Scene, installation: Installation
) -> None:
    scene.delegated()
    scene.form("/oauth/revoke", token=scene.delegated()["refresh_token"])
    with installation.snapshot(OPERATOR) as session:
        assert list(problems(session)) == []
    assert missed(installation, problems, BREAKS) == {}
