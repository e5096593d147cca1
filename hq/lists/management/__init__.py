"""The management commands of the lists app."""
