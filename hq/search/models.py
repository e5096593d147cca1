"""Records of searching: none of its own; the access log holds them."""
