"""Osler: an on-premise clinical AI hub. Start reading at :mod:`osler.pipeline`."""

__version__ = "0.1.0"
