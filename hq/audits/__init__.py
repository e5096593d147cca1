"""Owns audits, anomalies, corrections, breaches."""
