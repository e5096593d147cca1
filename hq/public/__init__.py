"""Owns the posted policy and figures."""
