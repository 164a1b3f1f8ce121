"""Pictures: numbers in, shapes or SVG out. Pure; nothing here knows of requests to the dashboard."""
