"""The policies that ship, as YAML, one file for each source policy."""
