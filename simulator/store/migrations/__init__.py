"""What turns the store of an older version into one of this version. When to do it is `schema.py`'s."""
