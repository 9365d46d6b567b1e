"""Methods: which of them a call may use. Told before the rate and the quota are asked, of which a
call by another method uses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from app.metering.errors import MethodNotOffered
from app.metering.gateway.admission import OpenGrant
from app.metering.gateway.requests import DataRequest

HOSTED: Mapping[str, tuple[str, ...]] = {"rows": ("GET",), "files": ("GET", "HEAD")}


def refuse_method(opened: OpenGrant, request: DataRequest) -> None:
    """Raise unless what the call asks for is offered by its method.

    Raises `MethodNotOffered`; for a provider's API, whose listing says which there are,
    `MethodNotAllowed`. Where no API is behind the listing, that is told later.
    """
    offered = HOSTED.get(request.operation)
    if offered is None:
        if opened.grant.upstream is not None:
            opened.upstream.refuse_method(request.method)
    elif request.method not in offered:
        raise MethodNotOffered(
            f"{request.operation.capitalize()} are read with GET.",
            headers={"Allow": ", ".join(offered)},
        )
