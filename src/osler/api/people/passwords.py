"""Passwords of people: which may be chosen, and how they are kept and checked.

References
----------
NIST SP 800-63B 5.1.1.2
"""

import secrets
import threading
import unicodedata
from importlib import resources
from typing import Final

from osler.api.passwords import hash_password, password_holds
from osler.errors import InputRejected, Transient

SHORTEST: Final = 8
LONGEST: Final = 1024
_FEWEST_DIFFERENT: Final = 5
_AT_ONCE: Final = 4
_WAITING: Final = 16


class Passwords:
    """Hashes and checks, a few at a time: each takes 19 MiB and some time of a processor.

    A flood of sign-ins must not take the memory, nor all the threads in which others are served.
    """

    def __init__(self) -> None:
        self._gate = threading.BoundedSemaphore(_AT_ONCE)
        self._room = threading.BoundedSemaphore(_WAITING)
        self._nobodys = self.hash(secrets.token_urlsafe())

    def hash(self, password: str) -> str:
        """Return what is kept of a password."""
        with self._gate:
            return hash_password(_normal(password))

    def match(self, held: str, given: str) -> bool:
        """Tell whether a password is the one that was kept; the same work when nothing (``""``) was kept.

        Raises
        ------
        Transient
            If many wait already.
        """
        if not self._room.acquire(blocking=False):
            raise Transient("too many people sign in at this moment; please try again in a few seconds")
        try:
            with self._gate:
                matches = password_holds(held or self._nobodys, _normal(given if len(given) <= LONGEST else ""))
        finally:
            self._room.release()
        return matches and bool(held)


def check_password(name: str, password: str) -> None:
    """Refuse a password that others would guess; no rule asks for digits or signs, which make none better.

    Raises
    ------
    InputRejected
        With words for the person who chooses.
    """
    plain = _normal(password).casefold()
    if not SHORTEST <= len(password) <= LONGEST:
        raise InputRejected(f"the password needs {SHORTEST} characters or more")
    if not password.isprintable():
        raise InputRejected("the password has a character that no keyboard has")
    if plain.strip("0123456789") == name.casefold():
        raise InputRejected("the password must not be your user name")
    if len(set(plain)) < _FEWEST_DIFFERENT or plain in _common():
        raise InputRejected("this password is one of the first that others would try")


def _common() -> frozenset[str]:
    listed = resources.files(__package__).joinpath("common_passwords.txt").read_text(encoding="utf-8")
    return frozenset(listed.split("\n"))


def _normal(password: str) -> str:
    # One person's keyboards may write the same letter in different code points.
    return unicodedata.normalize("NFKC", password)
