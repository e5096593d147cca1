"""Owns units in the field and deployments."""
