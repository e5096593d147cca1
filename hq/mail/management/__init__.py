"""The management commands of the mail app."""
