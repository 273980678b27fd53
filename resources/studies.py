"""Studies: where Optuna keeps them, and one driver for each at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from resources.home import home
from resources.locks import exclusive
from resources.settings import settings

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

BUSY_S = 100  # how long a writer of an SQLite file waits for another


class Studies(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Optuna's storage: SQLite in $SEXTANT_HOME, unless a `postgresql+psycopg2://` URL is configured."""

    url: str = ""

    def storage_url(self) -> str:
        """Return what `optuna-dashboard` is started with; raise ValueError for a URL that is none of the two kinds."""
        if not self.url:
            return f"sqlite:///{self._file()}"
        if not self.url.startswith(("postgresql+psycopg2://", "sqlite:///")):
            scheme = self.url.partition(":")[0]
            raise ValueError(
                f"SEXTANT_STUDIES_URL starts with {scheme}://. Allowed: postgresql+psycopg2:// and sqlite:///."
            )
        return self.url

    def folder(self) -> Path:
        """Return the folder of SQLite, of locks and of the rows that workers share."""
        return home() / "studies"

    def _file(self) -> Path:
        return self.folder() / "studies.db"

    def rows(self) -> Path:
        """Return the folder of the rows that workers share, by study."""
        return self.folder() / "rows"

    def last_used(self) -> dict[str, datetime]:
        """Return when each study last began or ended a trial, by its name; the epoch for one without trials."""
        if not self.url and not self._file().exists():
            return {}
        latest = {}
        for study in (storage := self.storage()).get_all_studies():
            trials = storage.get_all_trials(study._study_id, deepcopy=False)
            times = [time for trial in trials for time in (trial.datetime_start, trial.datetime_complete) if time]
            latest[study.study_name] = max(times, default=datetime.fromtimestamp(0)).astimezone(UTC)
        return latest

    def delete(self, name: str) -> None:
        """Remove a study, with its trials."""
        storage = self.storage()
        storage.delete_study(storage.get_study_id_from_name(name))

    @contextmanager
    def hold(self, name: str) -> Iterator[RDBStorage]:
        """Yield the storage to the only driver of the study `name`; another waits, and gets it when this one is gone.

        However it goes: the kernel drops the lock of a file, and PostgreSQL that of a connection.
        """
        with self._lock("storage"):  # several that make the tables at once would stumble over each other
            storage = self.storage()
        try:
            with self._lock(name):
                yield storage
        finally:
            storage.remove_session()
            storage.engine.dispose()

    def storage(self) -> RDBStorage:
        """Return Optuna's storage, which is made if need be."""
        from optuna.storages import RDBStorage

        self.folder().mkdir(parents=True, exist_ok=True)
        url = self.storage_url()
        return RDBStorage(url, {"connect_args": {"timeout": BUSY_S}} if url.startswith("sqlite") else None)

    def _lock(self, name: str) -> AbstractContextManager[None]:
        return exclusive(name, self.folder() / "locks", self.storage_url())


def studies() -> Studies:
    """Return Optuna's storage as the environment sets it up."""
    return Studies(url=settings().studies_url)
