"""Accounts: who is there, what they may do, and how they prove who they are.

Owns: organisations and their verification, clients, people, roles, scopes, signing keys; `oauth/`
(tokens, the authorization server, sign-in), `people/` (passwords), `alliance/` (seats, charter).
Does not own: what anybody does with these rights, or how a request carries a token (http).
"""
