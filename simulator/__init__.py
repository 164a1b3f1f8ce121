"""The simulator: both platforms' documented contract over HTTP. Flask lives in `web` only."""
