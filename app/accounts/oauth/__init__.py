"""OAuth: the authorization server, its tokens, and the pages on which a person signs in.

Owns: token keys, authorization codes, sign-in sessions, revoked tokens.
Does not own: clients and people (accounts), which it only reads.
"""
