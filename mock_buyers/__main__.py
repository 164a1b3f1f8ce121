"""`python -m mock_buyers`: the mock buyers as a program of their own. The options live in `cli.py`."""

from mock_buyers.cli import buyers

if __name__ == "__main__":
    buyers(prog_name="python -m mock_buyers")
