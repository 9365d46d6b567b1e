"""HTTP: how every route speaks.

Owns: strict decoding, problem documents, one transaction per request, idempotency keys, paging,
entity tags, who-may guards, the OpenAPI document and its page.
Does not own: any route of the business, tokens (accounts) or the data plane (metering).
"""
