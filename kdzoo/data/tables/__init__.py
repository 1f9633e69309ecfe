"""Tables of images as people have them: manifests and exports of labelling tools, taken up under a name."""
