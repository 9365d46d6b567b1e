"""The alliance (有偿使用联盟): who belongs to it in which role, and under which charter.

Owns: seats, which are roles of organisations with their terms, and the versions of the charter.
Does not own: the roles of people and programs (accounts), or what a seat makes cheaper (billing).
"""
