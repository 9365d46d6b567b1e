"""How hosted rows and files say no.

Malformed
└── QueryRefused      the query cannot be read (listings/conditions)   400
Refusal
├── NotAcceptable     no format that Accept names is offered       406
├── FileChanged       If-Match names other bytes than the file's   412
├── RangeRefused      the file has no such bytes                   416
├── QueryTooSlow      the query takes longer than a call may       422
└── AnswerTooLarge    the answer is larger than a call may be      422
Outage
├── HostedBusy        too many queries wait                        503
├── FileUnderWay      the contract's file is still being made      503
└── FileAway          the version's file cannot be read            503
"""

from __future__ import annotations

from app.kernel.refusals import Outage, Refusal, RuleBroken


class NotAcceptable(Refusal):
    """None of the formats that the caller accepts is offered."""

    status = 406
    slug = "not-acceptable"
    title = "Format not offered"


class FileChanged(Refusal):
    """`If-Match` names other bytes than the file has now."""

    status = 412
    slug = "precondition-failed"
    title = "File changed"


class RangeRefused(Refusal):
    """The file has no such bytes as `Range` names."""

    status = 416
    slug = "range-not-satisfiable"
    title = "No such range"


class QueryTooSlow(RuleBroken):
    """The query takes longer than one call may."""

    slug = "query-too-slow"
    title = "Query takes too long"


class AnswerTooLarge(RuleBroken):
    """The answer is larger than one call may be."""

    slug = "answer-too-large"
    title = "Answer too large"


class HostedBusy(Outage):
    """Too many queries wait for their turn."""

    slug = "hosted-busy"
    title = "Too many queries"


class FileUnderWay(Outage):
    """The contract's own copy of the file is still being made: ask again soon."""

    slug = "file-under-way"
    title = "File being made"


class FileAway(Outage):
    """The file of the version cannot be read; nothing is billed."""

    slug = "file-away"
    title = "Data not readable"
