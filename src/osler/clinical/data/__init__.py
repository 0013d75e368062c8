"""Lists of drugs, problems, body sites, tests and treatments; one concept a line, its names separated by commas."""
