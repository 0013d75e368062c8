"""Weights of the name model, written by ``train.py``."""
