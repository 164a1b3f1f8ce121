"""One module for each version of the schema: what leads to it from the one before."""
