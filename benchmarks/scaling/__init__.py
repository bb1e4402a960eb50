"""How students and attention scale: with the sentence's length, the width and the depth."""
