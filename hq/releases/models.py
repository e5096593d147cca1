"""Records of releases to other agencies."""
