"""Formats of other systems, a module each; `recognition` tells their records apart."""
