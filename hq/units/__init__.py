"""The register of units in the field, their upkeep and their deployments.

Owns who approved which unit where, what runs on it, its work log, the wipe of its media, and for which
incident it stands. What units send, and the state that lets their records in, is `hq.records`.
"""
