"""Clinical arithmetic and rules as pure functions, each with the paper or guideline that it comes from."""
