"""Records of audits, anomalies, corrections, breaches."""
