"""Identity providers: an organisation's people sign in at their own company, by OpenID Connect.

Owns: which provider an organisation has attached, the mail domains that are proved to be its own,
whom the provider knows by which subject, and the way there and back.
Does not own: people and their roles (joining), sessions (oauth). A provider of identities is not a
provider of data.
"""
