"""Reading tables: from files and frames, text to numbers and to moments, strictly."""
