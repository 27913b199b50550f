"""Runs that are kept in a file and gone on from: what the file holds, whose it is, when it is written."""
