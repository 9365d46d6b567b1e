"""People's own doors: their passwords, and how these are changed and reset.

Owns: password resets, what a password must be, the ending of a person's sessions and tokens.
Does not own: who belongs to an organisation (joining), the sign-in itself (oauth).
"""
