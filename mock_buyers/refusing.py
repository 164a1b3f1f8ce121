"""Why a request is not served, as an exception that ends its handling. How that is worded is not known here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self


class RefusedError(Exception):
    """A status, one sentence, and for a wrong method the right ones."""

    def __init__(self, status: int, why: str, allow: str = "") -> None:
        super().__init__(why)
        self.status, self.why, self.allow = status, why, allow

    @classmethod
    def of_method(cls, method: str, methods: Iterable[str]) -> Self:
        """Refuse a method; where there are none at all there is no such path."""
        allow = ",".join(sorted(methods))
        if not allow:
            return cls(404, "There is nothing at this path")
        return cls(405, f"{method} is not one of {allow}", allow)
