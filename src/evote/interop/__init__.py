"""Formats of other systems, a module each."""
