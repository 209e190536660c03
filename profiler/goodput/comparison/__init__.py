"""Variants of one operator against a reference, each sample a fresh process, with checks."""
