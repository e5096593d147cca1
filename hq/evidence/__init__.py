"""Owns evidence packages."""
