"""Records of evidence packages."""
