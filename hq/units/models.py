"""Records of units in the field and deployments."""
