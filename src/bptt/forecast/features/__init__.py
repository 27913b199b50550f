"""From a panel to the numbers that networks and ridge read, and what they are to say."""
