"""One run of anomalib's Reverse Distillation, as its guide shows it; `peer_training` starts it in a Python of its own.

    python benchmarks/peer_anomalib.py job.json

It knows nothing of kdzoo. The job names folders of images, the teacher's weights and what their features must be.
"""

import json
import sys
from pathlib import Path

import torch
from anomalib.data import Folder
from anomalib.engine import Engine
from anomalib.models import ReverseDistillation
from anomalib.pre_processing import PreProcessor
from lightning.pytorch import seed_everything
from safetensors.torch import load_file
from torchvision.transforms.v2 import Compose, Normalize, Resize

# Of a feature's spread: the same operations in another order round otherwise.
TOLERANCE = 1e-4


def data(job, part):
    """Trains on `train`; validates and tests on one part of test."""
    root = Path(job["data"])
    loading = {} if job["way"] == "default" else {"num_workers": 0}
    return Folder(
        name=part,
        root=root,
        normal_dir="train/good",
        normal_test_dir=f"{part}/good",
        abnormal_dir=f"{part}/defect",
        mask_dir=f"{part}/mask",
        train_batch_size=job["batch"],
        val_split_mode="same_as_test",
        seed=job["seed"],
        **loading,
    )


def build(job):
    """The model, with the job's teacher in place of ImageNet's."""
    size = (job["size"], job["size"])
    transform = Compose([Resize(size, antialias=True), Normalize(mean=job["mean"], std=job["std"])])
    shown = {} if job["way"] == "default" else {"visualizer": False}
    model = ReverseDistillation(
        backbone=job["architecture"], pre_trained=False, pre_processor=PreProcessor(transform=transform), **shown
    )
    encoder = model.model.encoder
    encoder.feature_extractor.load_state_dict(load_file(job["weights"]))
    seen = load_file(job["seen"])
    mean, std = (torch.tensor(job[key]).reshape(1, 3, 1, 1) for key in ("mean", "std"))
    encoder.eval()
    with torch.no_grad():
        found = encoder((seen["image"] - mean) / std)
    for number, level in enumerate(found.values()):
        expected = seen[f"level{number}"]
        off = (level - expected).abs().max() / expected.std()
        assert level.shape == expected.shape and off < TOLERANCE, f"level {number}: another teacher, off by {off}"
    return model


def main():
    job = json.loads(Path(sys.argv[1]).read_text())
    seed_everything(job["seed"])
    model = build(job)
    engine = Engine(max_epochs=job["epochs"], default_root_dir=job["out"], accelerator="cpu")
    engine.fit(model=model, datamodule=data(job, "select"))
    (found,) = engine.test(model=model, datamodule=data(job, "report"))
    print()
    print(json.dumps({"image_auroc": found["image_AUROC"], "pixel_auroc": found["pixel_AUROC"]}))


if __name__ == "__main__":
    main()
