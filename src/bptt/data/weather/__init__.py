"""Hourly weather: New York's embedded, Beijing's found or downloaded, the user's own, and the lab's split of it."""
