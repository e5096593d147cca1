"""The management commands of the API app."""
