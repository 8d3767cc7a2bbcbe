"""Verificatum."""
