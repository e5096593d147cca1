"""Owns accounts, roles, appointments, training, and the one function that says who may do what."""
