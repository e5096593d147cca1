"""The migrations of the mail app."""
