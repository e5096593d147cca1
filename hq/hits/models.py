"""Records of the live board and the verification of hits."""
