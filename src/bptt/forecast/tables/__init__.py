"""Tables in and out: columns and clock, everything odd listed, and forecasts as a table again."""
