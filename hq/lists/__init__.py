"""Owns hot lists, hot plates and partial plates, and their way to the units."""
