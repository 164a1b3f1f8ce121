"""`conform buyer`: asks a buyer's own endpoints what a platform would send them, and grades the answers."""

from conformance.buyer.cli import buyer

__all__ = ["buyer"]
