"""What a contract is, and what is derived from one. Not what any vendor says."""
