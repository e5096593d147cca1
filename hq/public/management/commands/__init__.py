"""Commands of the posted policy."""
