"""Owns searching the reads for a stated purpose."""
