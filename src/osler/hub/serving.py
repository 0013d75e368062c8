"""Which versions of the models are in use; looked at again and again, so that a change needs no restart.

A version goes on being served as long as jobs wait for it: what was queued for a former champion is read by it.
A new version that does not load changes nothing: the former one stays in use.
"""

from collections.abc import Iterator

import structlog

from osler.config import Config
from osler.errors import OslerError
from osler.hub.cards import greet, start_of, start_pinned
from osler.infer.child import Start
from osler.plugins import Card
from osler.registry.lineup import Lineup
from osler.registry.opening import open_pins
from osler.registry.port import CHALLENGER, CHAMPION, SHADOW, split_reference
from osler.storage import Database
from osler.storage.model_roles import models_with_work

log = structlog.get_logger(__name__)


class Serving:
    """The models in use under a configuration.

    Parameters
    ----------
    config : Config
    database : Database

    Raises
    ------
    ConfigError, IntegrityError, PluginError, PeerUnavailable
        If an enabled model cannot be had, or does not load.
    """

    def __init__(self, config: Config, database: Database) -> None:
        self._config = config
        self._database = database
        self._pins = open_pins(config)
        self._greeted: dict[str, tuple[str, Start]] = {}  # by what it is: the name@version that it answers with
        self._in_use: dict[str, str] = {}  # by reference: the name@version that was found for it last
        self._complained: dict[str, str] = {}
        self.cards: dict[str, Card] = {}
        for reference in config.items("models.enabled"):
            self._in_use[reference] = self._open(reference)
        self.starts: tuple[Start, ...] = ()
        self.lineup = Lineup(())
        self.look()

    def look(self) -> bool:
        """Look which versions are to be used now; whether anything changed."""
        lineup = self._lineup()
        starts = tuple(dict.fromkeys(self._starts(lineup)))
        changed = (lineup, starts) != (self.lineup, self.starts)
        self.lineup, self.starts = lineup, starts
        return changed

    def _lineup(self) -> Lineup:
        champions, beside = [], {}
        for reference in self._config.items("models.enabled"):
            champion = self._found(reference)
            if champion is None:
                continue
            champions.append(champion)
            name, which = split_reference(reference)
            if which == CHAMPION:
                others = (self._found(other) for other in self._others(name))
                found = tuple(dict.fromkeys(o for o in others if o not in (None, champion)))
                if found:
                    beside[champion] = found
        return Lineup(tuple(dict.fromkeys(champions)), beside, self._config.number("models.canary_percent") / 100.0)

    def _others(self, name: str) -> Iterator[str]:
        try:
            aliases = self._pins.aliases(name)
        except OslerError as error:
            self._complain(name, error)
            return
        yield from (f"{name}@{alias}" for alias in (CHALLENGER, SHADOW) if alias in aliases)

    def _starts(self, lineup: Lineup) -> Iterator[Start]:
        by_version = dict(self._greeted.values())
        wanted = [*lineup.champions, *(other for others in lineup.beside.values() for other in others)]
        yield from (by_version[version] for version in wanted)
        with self._database.read() as connection:
            waiting = models_with_work(connection)
        names = {split_reference(reference)[0] for reference in self._config.items("models.enabled")}
        for version in sorted(waiting - set(wanted)):
            if version.rpartition("@")[0] in names and self._found(version) == version:
                yield dict(self._greeted.values())[version]

    def _found(self, reference: str) -> str | None:
        """Return the version that a reference stands for now; the former one when the present one cannot be had."""
        try:
            self._in_use[reference] = self._open(reference)
            self._complained.pop(reference, None)
        except OslerError as error:
            self._complain(reference, error)
        return self._in_use.get(reference)

    def _open(self, reference: str) -> str:
        version = self._pins.version_of(reference)
        key = reference if version is None else version.sha256
        if key not in self._greeted:
            if version is None:
                start = start_pinned(self._config, reference, None)
            else:
                start = start_of(self._config, str(version), pins=self._pins)
            hello = greet(start)
            served = str(hello.card.model_version)
            self.cards[served] = hello.card
            self._greeted[key] = (served, start_pinned(self._config, served, start.artefact))
        return self._greeted[key][0]

    def _complain(self, reference: str, error: OslerError) -> None:
        if self._complained.get(reference) != str(error):
            self._complained[reference] = str(error)
            log.error("model cannot be used", model=reference, reason=str(error))


def in_words(lineup: Lineup) -> dict[str, str]:
    """Say who reads, for the audit."""
    beside = ", ".join(f"{other} beside {champion}" for champion, others in lineup.beside.items() for other in others)
    return {"champions": ", ".join(lineup.champions), "beside": beside}
