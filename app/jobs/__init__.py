"""Jobs: work that happens after commit, at least once.

Owns: the outbox queue, its worker and the schedule of recurring work.
Does not own: what any job does; handlers are idempotent and belong to their packages.
"""
