"""Work of listings beside requests: files that no row knows are swept."""

from __future__ import annotations

from sqlmodel import select

from app.db.installation import Installation
from app.jobs.kinds import Recurring
from app.kernel.actor import job_actor
from app.listings.datafiles.keeping import sweep_files
from app.listings.models import DataFile

SWEEP_EVERY_S = 3600.0


def sweep(installation: Installation) -> None:
    """Remove what uploads left behind that never became a row."""

    def is_known(path: str) -> bool:
        with installation.transaction(job_actor("listings.sweep"), writes=False) as session:
            return (
                session.exec(select(DataFile.id).where(DataFile.path == path)).first() is not None
            )

    sweep_files(installation.settings.files_dir, installation.clock, is_known)


SCHEDULE = (Recurring("listings.sweep", lambda _installation: SWEEP_EVERY_S, sweep),)
