"""De-identified transcript in, draft note out: each statement says where it was said, and a gate holds it to that."""
