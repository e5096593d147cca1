"""The management commands of the records app."""
