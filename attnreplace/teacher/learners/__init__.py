"""What a training learns, one file a kind of data."""
