"""STFPM (Wang et al., BMVC 2021, arXiv 2103.04257): a student of the teacher's architecture, on normal images."""
