"""The management commands of the site app."""
