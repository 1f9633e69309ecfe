"""What the gates are worth, by hand: AUROC of counted positions, and a warning below the bound."""

import pytest
import torch
from helpers.trials import TEACHER, small_config

from kdzoo.methods.aand.gates import SEPARATES, GateScores
from kdzoo.methods.aand.model import AAND
from kdzoo.methods.base import Batch
from kdzoo.teachers.backbone import load_teacher


def column(*values):
    return torch.tensor(values, dtype=torch.float32).reshape(1, -1, 1)


def scored(*levels):
    """Findings of levels, each (gates, truths, inside) of one batch."""
    scores = GateScores(len(levels))
    scores.add(*([column(*level[part]) for level in levels] for part in range(3)))
    return scores.findings()


def test_auroc_counts_pairs():
    """Of the four pairs of an anomalous and a normal position the gate is right in three, and a tie counts half."""
    right = ((0.9, 0.4, 0.5, 0.1), (1, 1, 0, 0), (1, 1, 1, 1))
    tied = ((0.5, 0.5), (1, 0), (1, 1))
    found = scored(right, tied)
    assert found.metrics == {"gate_auroc_1": 0.75, "gate_auroc_2": 0.5}
    assert found.warnings == ()


def test_positions_beside_the_product_do_not_count():
    """The third position would be a false alarm, the fourth is anomalous where the product hardly is."""
    found = scored(((0.9, 0.1, 1.0, 0.8), (1, 0, 0, 1), (1, 1, 0, 0)))
    assert found.metrics == {"gate_auroc_1": 1.0}


def test_batches_are_one_set_of_positions():
    scores = GateScores(1)
    for gates, truths in (((0.9, 0.3), (1, 1)), ((0.6, 0.1), (0, 0))):
        scores.add([column(*gates)], [column(*truths)], [column(1, 1)])
    assert scores.findings().metrics == {"gate_auroc_1": 0.75}


def test_one_level_that_is_right_in_three_pairs_of_four_is_enough():
    inert, separating = ((0.5, 0.5), (1, 0), (1, 1)), ((0.9, 0.4, 0.5, 0.1), (1, 1, 0, 0), (1,) * 4)
    found = scored(inert, separating)
    assert found.metrics["gate_auroc_2"] == SEPARATES == 0.75
    assert found.warnings == ()


def test_below_that_a_warning_says_what_was_found_and_what_to_do():
    inert, worse = ((0.5, 0.5), (1, 0), (1, 1)), ((0.5, 0.4, 0.45, 0.3), (0, 1, 0, 0), (1,) * 4)
    (text,) = scored(inert, worse).warnings
    assert "AUROC 0.50, 0.33 by level, and 0.75 is asked of at least one" in text
    assert "amplify_epochs" in text


def test_without_planted_anomalies_nothing_is_judged_and_that_is_said():
    found = scored(((0.5, 0.6), (0, 0), (1, 1)))
    assert found.metrics == {}
    assert "no anomaly could be planted" in found.warnings[0]
    assert "no anomaly could be planted" in GateScores(3).findings().warnings[0]


@pytest.fixture(scope="module")
def method():
    torch.manual_seed(0)
    return AAND(load_teacher(TEACHER), small_config("aand")).eval()


def test_the_amplification_stage_judges_the_gates_of_all_levels(method):
    amplify, distil = method.stages()
    assert distil.examine is None
    masks = torch.zeros(2, 1, 64, 64)
    masks[:, :, :, :32] = 1
    images = torch.randn(2, 3, 64, 64)
    batch = Batch(images=images, augmented=images * (1 - masks), masks=masks, foreground=masks < 2)
    with torch.no_grad():
        found = amplify.examine([batch])
        by_hand = scored(
            *(
                (block.gate(level).flatten().tolist(), truth.flatten().tolist(), (1,) * truth.numel())
                for block, level, truth in zip(
                    method.amplifiers,
                    method.teacher(batch.augmented),
                    (torch.nn.functional.adaptive_avg_pool2d(masks, side) > 0.3 for side in (16, 8, 4)),
                    strict=True,
                )
            )
        )
    assert list(found.metrics) == ["gate_auroc_1", "gate_auroc_2", "gate_auroc_3"]
    assert found.metrics == pytest.approx(by_hand.metrics)
