"""From a cell's text to vector instructions, with the backward of a formula that states none."""
