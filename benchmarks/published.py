"""What the methods' papers report on published benchmarks, to be read beside one's own runs.

Image AUROC, pixel AUROC, AUPRO, as means over the categories; None where a paper reports none. Papers choose the epoch
and measure on the same test images (kdzoo's protocol `test`); a run under `holdout` is no comparison to the digit.
"""

PUBLISHED = {
    "mvtec": {
        "rd": (0.985, 0.978, 0.939),
        "mrkd": (0.989, 0.984, 0.953),
        "patchcore": (0.991, 0.981, 0.934),
        "stfpm": (0.955, 0.970, 0.921),
    },
}
"""Data set to method to numbers: RD (arXiv 2201.10703, tables 1 to 3), MRKD (arXiv 2512.15326), PatchCore (arXiv
2106.08265, PatchCore-25 % for images and 10 % sampled otherwise as its tables state), STFPM (arXiv 2103.04257)."""
