"""Pseudonym <-> identity, and the keys that seal what is identified."""

from osler.vault.keys import KeyRing
from osler.vault.master_key import create_master_key, read_master_key
from osler.vault.pseudonyms import Vault

__all__ = ["KeyRing", "Vault", "create_master_key", "read_master_key"]
