"""All published experiments on one page, written from their records."""
