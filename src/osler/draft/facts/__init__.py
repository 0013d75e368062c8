"""What a sentence says that could do harm if it were wrong: numbers, drugs and doses, sides, concepts, yes and no."""
