"""Golden numbers: outputs of the authors' code for fixed tensors, to 1e-5 relative."""

from pathlib import Path

import numpy as np
import pytest
import torch

from kdzoo.methods.aand.amplifier import ResidualAmplifier, position_encoding
from kdzoo.methods.aand.losses import amplification_loss, focal_gate_loss, level_mask
from kdzoo.methods.layers.losses import flattened_cosine_loss, hardest_positions_loss
from kdzoo.methods.layers.maps import cosine_distance_map, smooth

SIZES = ((64, 64), (32, 32), (16, 16))


@pytest.fixture(scope="module")
def golden():
    return np.load(Path(__file__).parents[2] / "golden" / "reference_numbers.npz")


def levels(golden, name):
    return [torch.from_numpy(golden[f"{name}_{level}"]) for level in range(3)]


def masks_of(golden, key):
    return [level_mask(torch.from_numpy(golden[key]).float(), size, threshold=0.3) for size in SIZES]


def test_rd_loss(golden):
    loss = flattened_cosine_loss(levels(golden, "hkd/teacher"), levels(golden, "hkd/student"))
    assert float(loss) == pytest.approx(float(golden["rd/loss"]), rel=1e-5)


def test_hkd_loss(golden):
    teacher, student = levels(golden, "hkd/teacher"), levels(golden, "hkd/student")
    hard = hardest_positions_loss(teacher, student, top_k=int(golden["hkd/top_k"]))
    loss = hard + flattened_cosine_loss(teacher, student)
    assert float(loss) == pytest.approx(float(golden["hkd/loss"]), rel=1e-5)


def test_gate_focal_loss(golden):
    loss = focal_gate_loss(levels(golden, "gate_focal/gate"), masks_of(golden, "gate_focal/mask"), alpha=0.8, gamma=2.0)
    assert float(loss) == pytest.approx(float(golden["gate_focal/loss"]), rel=1e-5)


def test_amplification_loss(golden):
    loss = amplification_loss(
        levels(golden, "amplify/vanilla"),
        levels(golden, "amplify/amplified"),
        masks_of(golden, "amplify/mask"),
        masks_of(golden, "amplify/foreground"),
        margin=float(golden["amplify/margin"]),
    )
    assert float(loss) == pytest.approx(float(golden["amplify/loss"]), rel=1e-5)


def test_residual_amplifier(golden):
    block = ResidualAmplifier(32, prototypes=5, temperature=float(golden["raa/temperature"]))
    state = {"prototypes": torch.from_numpy(golden["raa/weights/prototypes"])}
    for part in ("query", "scale"):
        for layer, position in enumerate((0, 2, 4)):
            for kind in ("weight", "bias"):
                state[f"{part}.{position}.{kind}"] = torch.from_numpy(golden[f"raa/weights/{part}.{layer}.{kind}"])
    block.load_state_dict(state, strict=True)
    features = torch.from_numpy(golden["raa/features"])
    with torch.no_grad():
        gate, lifted = block.gate(features), block(features)
    np.testing.assert_allclose(gate.numpy(), golden["raa/gate"], rtol=1e-5)
    np.testing.assert_allclose((lifted - features).numpy(), golden["raa/residual"], rtol=1e-5, atol=1e-6)


def test_position_encoding(golden):
    np.testing.assert_allclose(position_encoding(8, 4, 6).numpy(), golden["positional/encoding_8x4x6"], atol=1e-6)


def test_anomaly_map(golden):
    maps = cosine_distance_map(levels(golden, "map/teacher"), levels(golden, "map/student"), size=(256, 256))
    np.testing.assert_allclose(smooth(maps, 4.0)[0].numpy(), golden["map/anomaly_map"], rtol=1e-5, atol=1e-6)
