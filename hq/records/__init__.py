"""Owns reads, pictures, hits and gaps as units send them."""
