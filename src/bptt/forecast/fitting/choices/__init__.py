"""What is settled, grouped and chosen before the last training, by forecasts of rows that were held out."""
