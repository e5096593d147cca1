"""Records of the read-only API and outbound feeds."""
