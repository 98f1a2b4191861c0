"""``make gpu``: everything that only a GPU shows, in one command of nine minutes."""
