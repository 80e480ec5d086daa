"""What others go on with: networks and model cards of members."""
