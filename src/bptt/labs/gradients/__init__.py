"""Why gradients vanish and explode, and every remedy.

`lab.py` is the experiment; the others are its parts, verdicts and page.
"""
