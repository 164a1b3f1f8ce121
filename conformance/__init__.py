"""The conformance suite: is every documented status code reached, and does each answer conform? A black box over HTTP."""
