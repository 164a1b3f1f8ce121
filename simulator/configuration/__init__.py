"""The sandbox file: its model, and reading it with errors that name the line."""
