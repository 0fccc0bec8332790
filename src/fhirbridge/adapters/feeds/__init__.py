"""How the service learns that something changed in an EPR."""
