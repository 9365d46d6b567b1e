"""ODRL: licence terms as a W3C ODRL 2.2 offer in JSON-LD, both ways, in one plain subset.

What we write, other dataspaces can read (Dataspace Protocol: one action per rule, right operands
are text). What we read may be spelt in the usual other ways, but must mean one of our licences:
anything else is refused, never dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.listings.errors import LicenceMalformed, LicenceRefused
from app.listings.licences import Action, Duty, Licence, licence_document, licence_from_terms
from app.listings.odrl_operands import fields_of, written_constraints

CONTEXT = ["http://www.w3.org/ns/odrl.jsonld", {"zhigu": "urn:zhigu:odrl:"}]
PROFILE = "urn:zhigu:odrl:1"

# Terms are read by name, not by JSON-LD: a context that could give them another meaning is refused.
_CONTEXTS = frozenset(
    {
        "http://www.w3.org/ns/odrl.jsonld",
        "https://www.w3.org/ns/odrl.jsonld",
        "https://w3id.org/dspace/2025/1/context.jsonld",
    }
)
_PREFIX_CONTEXT = {
    "zhigu": "urn:zhigu:odrl:",
    "odrl": "http://www.w3.org/ns/odrl/2/",
    "cc": "http://creativecommons.org/ns#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
_TYPES = frozenset({"Set", "Offer", "Policy"})
_PREFIXES = ("odrl:", "http://www.w3.org/ns/odrl/2/")
_COMMERCIAL = frozenset({"cc:CommercialUse", "http://creativecommons.org/ns#CommercialUse"})
_OWN = "urn:zhigu:odrl:"
_POLICY_MEMBERS = frozenset(
    {"@context", "@type", "@id", "uid", "profile", "conflict", "assigner", "target"}
    | {"permission", "prohibition", "obligation"}
)
_RULE_MEMBERS = frozenset({"@type", "action", "constraint", "duty", "assigner", "target"})
_CONSTRAINT_MEMBERS = frozenset({"@type", "leftOperand", "operator", "rightOperand", "dataType"})


def policy_id(listing_id: str) -> str:
    """The name of a listing's policy."""
    return f"urn:zhigu:licence:{listing_id}"


def odrl_of(licence: Licence, listing_id: str, provider_id: str) -> dict[str, Any]:
    """The licence as an offer of the provider; the listing itself is the target.

    An offer in a catalogue has no `target` (Dataspace Protocol): the dataset around it is.
    """
    constraints = written_constraints(licence)
    policy: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "Offer",
        "@id": policy_id(listing_id),
        "profile": PROFILE,
        "conflict": "prohibit",
        "assigner": provider_id,
        "permission": [
            _rule(action, constraint=constraints) if constraints else _rule(action)
            for action in licence.actions
        ],
    }
    if licence.prohibited:
        policy["prohibition"] = [_rule(action) for action in licence.prohibited]
    if licence.duties:
        policy["obligation"] = [_rule(duty) for duty in licence.duties]
    return policy


def licence_from_odrl(document: Mapping[str, Any], listing_id: str, provider_id: str) -> Licence:
    """The licence that an ODRL policy states; raises `LicenceRefused` for what it cannot say."""
    _only(document, _POLICY_MEMBERS, "")
    _check_frame(document, listing_id, provider_id)
    permissions = list(_rules(document, "permission"))
    if not permissions:
        raise LicenceRefused("The policy permits nothing.", path=".permission")
    constraints = [_constraints(rule, path) for path, rule in permissions]
    if any(_as_set(other) != _as_set(constraints[0]) for other in constraints[1:]):
        raise LicenceRefused(
            "All permissions of a policy have the same constraints here.", path=".permission"
        )
    duties = [*_obligations(document), *_duties(permissions)]
    for path, rule in _rules(document, "prohibition"):
        if "constraint" in rule or "duty" in rule:
            raise LicenceRefused("A prohibition has no constraint or duty here.", path=path)
    licence = Licence(
        actions=_actions(permissions),
        prohibited=_actions(_rules(document, "prohibition")),
        duties=tuple(dict.fromkeys(duties)),
        **fields_of(constraints[0]),
    )
    try:
        return licence_from_terms(licence_document(licence))  # the bounds of its texts
    except LicenceMalformed as error:
        # ODRL sets no such bounds: the policy can be read, but not kept.
        raise LicenceRefused(error.detail, path=error.facts["path"]) from error


def _rule(action: Action | Duty, **members: Any) -> dict[str, Any]:
    return {"action": action.value, **members}


def _check_frame(document: Mapping[str, Any], listing_id: str, provider_id: str) -> None:
    for context in _listed(document.get("@context", [])):
        if not (isinstance(context, str) and context in _CONTEXTS) and not _only_prefixes(context):
            raise LicenceRefused("This context is not one that we read.", path=".@context")
    kind = document.get("@type", "Set")
    if not isinstance(kind, str) or _short(kind) not in _TYPES:
        raise LicenceRefused("The policy is a Set or an Offer.", path=".@type")
    if document.get("conflict", "prohibit") not in ("prohibit", "odrl:prohibit"):
        raise LicenceRefused("Conflicts are resolved by `prohibit` here.", path=".conflict")
    _check_parties(document, "", listing_id, provider_id)
    for name in ("permission", "prohibition", "obligation"):
        for path, rule in _rules(document, name):
            _only(rule, _RULE_MEMBERS, path)
            _check_parties(rule, path, listing_id, provider_id)


def _only_prefixes(context: Any) -> bool:
    return isinstance(context, Mapping) and all(
        _PREFIX_CONTEXT.get(name) == value for name, value in context.items()
    )


def _check_parties(
    members: Mapping[str, Any], path: str, listing_id: str, provider_id: str
) -> None:
    """A policy about another thing, or in another's name, is not this listing's licence."""
    if members.get("target", listing_id) not in (listing_id, f"urn:zhigu:listing:{listing_id}"):
        raise LicenceRefused("The target is another thing.", path=f"{path}.target")
    if members.get("assigner", provider_id) != provider_id:
        raise LicenceRefused("The assigner is not the provider.", path=f"{path}.assigner")


def _rules(document: Mapping[str, Any], name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, rule in enumerate(_listed(document.get(name, []))):
        path = f".{name}[{number}]"
        if not isinstance(rule, Mapping):
            raise LicenceRefused("A rule is an object.", path=path)
        yield path, rule


def _actions(rules: Iterable[tuple[str, Mapping[str, Any]]]) -> tuple[Action, ...]:
    names = [(path, name) for path, rule in rules for name in _action_names(rule, path)]
    return tuple(dict.fromkeys(_known(Action, name, f"{path}.action") for path, name in names))


def _action_names(rule: Mapping[str, Any], path: str) -> list[str]:
    found = _listed(rule.get("action", []))
    if not found:
        raise LicenceRefused("The rule has no action.", path=path)
    return [_name(action, f"{path}.action") for action in found]


def _obligations(document: Mapping[str, Any]) -> Iterator[Duty]:
    for path, rule in _rules(document, "obligation"):
        if "duty" in rule or "constraint" in rule:
            raise LicenceRefused("A duty has no constraint here.", path=path)
        for name in _action_names(rule, path):
            yield _known(Duty, name, f"{path}.action")


def _duties(permissions: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[Duty]:
    for path, rule in permissions:
        for number, duty in enumerate(_listed(rule.get("duty", []))):
            here = f"{path}.duty[{number}]"
            if not isinstance(duty, Mapping) or set(duty) - {"@type", "action"}:
                raise LicenceRefused("A duty has an action and no constraint here.", path=here)
            for name in _action_names(duty, here):
                yield _known(Duty, name, f"{here}.action")


def _constraints(rule: Mapping[str, Any], path: str) -> list[tuple[str, str, list[str], str]]:
    """(left operand, operator, right operands as text, path) of each constraint of a rule."""
    found = []
    for number, constraint in enumerate(_listed(rule.get("constraint", []))):
        here = f"{path}.constraint[{number}]"
        if not isinstance(constraint, Mapping):
            raise LicenceRefused("A constraint is an object.", path=here)
        _only(constraint, _CONSTRAINT_MEMBERS, here)
        left = _name(constraint.get("leftOperand"), f"{here}.leftOperand")
        operator = _name(constraint.get("operator"), f"{here}.operator")
        values = [
            _value(item, f"{here}.rightOperand")
            for item in _listed(constraint.get("rightOperand", []))
        ]
        if not values:
            raise LicenceRefused("The constraint compares with nothing.", path=here)
        found.append((left, operator, values, here))
    return found


def _as_set(constraints: list[tuple[str, str, list[str], str]]) -> frozenset[tuple[str, ...]]:
    return frozenset((left, operator, *sorted(values)) for left, operator, values, _ in constraints)


def _known(kind: type[Any], name: str, path: str) -> Any:
    try:
        return kind(name)
    except ValueError as error:
        raise LicenceRefused(f"{name!r} is not in our subset of ODRL.", path=path) from error


def _name(value: Any, path: str) -> str:
    """A term in its short form, however it was spelt."""
    if isinstance(value, Mapping) and set(value) == {"@id"}:
        value = value["@id"]
    if not isinstance(value, str) or not value:
        raise LicenceRefused("This is the name of an ODRL term.", path=path)
    return _short(value)


def _short(name: str) -> str:
    if name in _COMMERCIAL:
        return Action.COMMERCIAL_USE.value
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return f"zhigu:{name.removeprefix(_OWN)}" if name.startswith(_OWN) else name


def _value(value: Any, path: str) -> str:
    """A right operand as text; numbers only whole, since text is what is compared."""
    if isinstance(value, Mapping):
        if "@value" in value and not set(value) - {"@value", "@type"}:
            return _value(value["@value"], path)
        if set(value) == {"@id"}:
            return _value(value["@id"], path)
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise LicenceRefused("A right operand is text or a whole number.", path=path)


def _only(members: Mapping[str, Any], known: frozenset[str], path: str) -> None:
    if unknown := sorted(set(members) - known):
        raise LicenceRefused(
            f"{unknown[0]!r} is not in our subset of ODRL.", path=f"{path}.{unknown[0]}"
        )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
