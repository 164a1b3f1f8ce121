"""Outcomes on purpose: what can be asked for, and where a request may ask. What comes of it is the exchange's."""
