"""Training of a teacher on images made by formula: no photograph, no licence question, no network."""
