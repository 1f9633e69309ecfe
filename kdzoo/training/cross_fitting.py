"""Normal scores of the train images, each from a model that has not seen it: for calibration where few are held out.

The images that a model was fitted to score too low to calibrate it. So the trial is run again, once for each fold, on
the train images outside of the fold, by the same recipe and for as many epochs; the images of the fold are then scored
like new ones. They had no say in the choice of the trial either. A model of a fold has learned from fewer images than
the one that is kept, so its scores are on the high side and the threshold on the safe one. That they are otherwise like
those of the kept model is taken to be so, and not known.
"""

from __future__ import annotations

from dataclasses import dataclass

from kdzoo.errors import UsageError
from kdzoo.training.calibration import NormalScores
from kdzoo.training.images import ImageSource
from kdzoo.training.scoring import score_set
from kdzoo.training.trainer import Trainer


@dataclass(frozen=True, kw_only=True)
class CrossFitted:
    """What the models of the folds say of the train images.

    Attributes:
        normals: scores of all train images.
        folds: how many models were trained.
        seconds: that training and measuring them took.
    """

    normals: NormalScores
    folds: int
    seconds: float


def cross_fit(trainer: Trainer, folds: int) -> CrossFitted:
    """Scores every train image of a trial by a model that was trained without it.

    Args:
        trainer: a trial that has been trained; it is left as it is.
        folds: how many models to train, 2 or more; never more than there are train images.

    Raises:
        UsageError: there are fewer than two train images.
        KdzooError: a fold cannot be trained.
    """
    count = len(trainer.data.train.labels)
    if count < 2:
        raise UsageError("cross-fitting needs two train images at least, and there is one")
    folds = min(folds, count)
    found, seconds = [], 0.0
    for number in range(folds):
        data, part = trainer.data.fold(number, folds)
        model = Trainer(trainer.spec, data, trainer.method.teacher, trainer.device)
        try:
            while model.epoch < trainer.epoch:
                model.step()
        finally:
            model.close()
        model.load_best()
        held_out = data.set_of(part)
        source = ImageSource(held_out.images, trainer.device)
        scored = score_set(model.method.eval(), held_out, source, folder=data.cache)
        found.append(NormalScores.of(scored.scores, scored.maps, held_out.inside))
        seconds += model.train_seconds + model.measure_seconds
    return CrossFitted(
        normals=NormalScores.joined(found),
        folds=folds,
        seconds=seconds,
    )
