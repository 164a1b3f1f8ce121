"""The journeys, by theme. `ALL` is every one of them, in the order in which they are run."""

from __future__ import annotations

from conformance.journey import Journey

ALL: tuple[Journey, ...] = ()
