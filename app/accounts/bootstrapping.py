"""Bootstrapping: the operator's own organisation and the client that everything starts from."""

from __future__ import annotations

from sqlmodel import Session, col, select

from app.accounts.enrolling import ClientWish, add_client
from app.accounts.models import Client, Organisation
from app.accounts.roles import ALLIANCE_ROLES, Role
from app.accounts.scopes import SCOPES
from app.accounts.states import OrganisationKind, VerificationState
from app.audit.recording import record
from app.db.session import now
from app.kernel.ids import new_id

OPERATOR_NAME = "联盟运营方"
OPERATOR_NAME_EN = "Alliance operator"


def ensure_operator(session: Session) -> tuple[str, str | None]:
    """The operator's administrator client and its secret, which is None unless made just now.

    Whoever may run this on the machine is the operator: if every such client was revoked, a new
    one is made.
    """
    operator = session.exec(select(Organisation).where(col(Organisation.is_operator))).one_or_none()
    if operator is None:
        operator = _found_operator(session)
    clients = session.exec(
        select(Client)
        .where(Client.organisation_id == operator.id, col(Client.revoked_at).is_(None))
        .order_by(col(Client.id))
    )
    for client in clients:
        if Role.ADMIN.value in client.roles:
            return client.id, None
    wish = ClientWish(name="admin", scopes=SCOPES, roles=sorted(ALLIANCE_ROLES))
    client, secret = add_client(session, operator, wish)
    return client.id, secret


def _found_operator(session: Session) -> Organisation:
    operator = Organisation(
        id=new_id("org"),
        name=OPERATOR_NAME,
        name_en=OPERATOR_NAME_EN,
        credit_code=None,
        kind=OrganisationKind.ENTERPRISE,
        region_code=None,
        contact={},
        is_operator=True,
        verification_state=VerificationState.NONE,
        verified_until=None,
        created_at=now(session),
        suspended_at=None,
        edit=1,
    )
    session.add(operator)
    session.flush()
    record(session, "organisation:registered", operator.id, organisations=(operator.id,))
    return operator
