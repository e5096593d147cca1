"""Records of the posted policy and figures."""
