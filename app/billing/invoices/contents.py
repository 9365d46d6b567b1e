"""Contents: what an issued invoice says, as one document, and its hash. Pure.

The hash is in the audit leaf of the issuing: whoever has the invoice can show that it is the one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.billing.invoices.models import Invoice, InvoiceLine
from app.kernel.canonical import canonical, sha256_hex
from app.kernel.clock import rfc3339

DOCUMENT_TYPE = "zhigu-invoice"
FORMAT = 1


def invoice_document(invoice: Invoice, lines: Sequence[InvoiceLine]) -> dict[str, Any]:
    """The invoice as canonical JSON values; what is paid of it later is no part."""
    assert invoice.issued_at is not None
    assert invoice.due_at is not None
    return {
        "type": DOCUMENT_TYPE,
        "format": FORMAT,
        "id": invoice.id,
        "number": invoice.number,
        "issued_at": rfc3339(invoice.issued_at),
        "due_at": rfc3339(invoice.due_at),
        "period": invoice.period,
        "scope": invoice.scope,
        "provider": invoice.parties["provider"],
        "buyer": invoice.parties["buyer"],
        "currency": invoice.currency,
        "lines": [_line(line) for line in sorted(lines, key=lambda line: line.position)],
        "taxes": invoice.taxes,
        "fees": invoice.fees,
        "net_minor": invoice.net_minor,
        "vat_minor": invoice.vat_minor,
        "fee_minor": invoice.fee_minor,
        "gross_minor": invoice.gross_minor,
    }


def content_hash(invoice: Invoice, lines: Sequence[InvoiceLine]) -> str:
    """SHA-256 of the canonical document, in hex."""
    return sha256_hex(canonical(invoice_document(invoice, lines)))


def _line(line: InvoiceLine) -> dict[str, Any]:
    document = line.model_dump()
    del document["invoice_id"]
    if document["late_for"] is None:  # an invoice from before there was any says what it said
        del document["late_for"]
    return document
