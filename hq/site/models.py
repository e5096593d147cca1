"""Records of the agency, its settings, the frame of every page."""
