"""Kill stages at random moments, take them up again, and look for any difference."""
