"""Threads that share a pass: how work is cut, who runs it, and the machine code in which they meet."""
