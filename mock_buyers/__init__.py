"""Mock buyers: a separate program that bids, refuses, stalls and lies over HTTP. No platform lives here."""
