"""Owns schedules, holds, destruction."""
