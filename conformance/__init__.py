"""The conformance suite: is every documented status code reached, does each answer conform? A black box."""
