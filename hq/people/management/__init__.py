"""The management commands of the people app."""
