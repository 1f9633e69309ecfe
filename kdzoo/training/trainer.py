"""The loop: one call trains one epoch of whatever stage is due, and measures it when it is time.

Order of batches, weights and synthetic anomalies depend on the seed, the stage and the epoch alone, so a trial that
goes on from a checkpoint does what an uninterrupted one would have done.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kdzoo.errors import CheckpointError, DeviceMemoryError, NonFiniteLossError
from kdzoo.methods.base import Method, OnePass, Phase, Stage
from kdzoo.methods.registry import build_method
from kdzoo.metrics.report import Report
from kdzoo.teachers.backbone import Teacher
from kdzoo.training.averages import WeightAverage
from kdzoo.training.batches import BatchMaker
from kdzoo.training.best import BestEpoch
from kdzoo.training.checkpoint import fitting
from kdzoo.training.data import TrialData
from kdzoo.training.epoch_result import EpochResult
from kdzoo.training.evaluation import Scored, measure
from kdzoo.training.examining import Examinations
from kdzoo.training.features import FeatureSource
from kdzoo.training.footprint import footprint
from kdzoo.training.gradients import HALVES, BatchGradients, out_of_memory, release_memory
from kdzoo.training.images import ImageSource
from kdzoo.training.learned import load_learned
from kdzoo.training.pace import Pace, set_rate
from kdzoo.training.planting import Planting
from kdzoo.training.precision import Hardware, choose_precision, gpus
from kdzoo.training.scoring import score_set
from kdzoo.training.settling import settle
from kdzoo.training.showing import take_pass
from kdzoo.training.spec import TrialSpec
from kdzoo.training.stage_clock import StageClock
from kdzoo.training.stage_results import StageResults, copy_tensors, sharable, stage_tensors
from kdzoo.training.telling import Told, nobody
from kdzoo.training.trial_features import TrialFeatures


class Trainer:
    """Trains one trial, an epoch a call.

    Args:
        spec: what to train.
        data: its category, under the spec's options.
        teacher: the frozen backbone; moved to the device.
        device: where to train.
        shared: results of first stages that other trials left, and may use; default none.

    Attributes:
        precision: what it trains in on this device.
        precisions: labels of what it has trained in so far; more than one where it goes on on unlike hardware.
        reused_seconds: of training that another trial's first stage saved this one.
        examined: what stages that are over found of themselves.
    """

    def __init__(
        self,
        spec: TrialSpec,
        data: TrialData,
        teacher: Teacher,
        device: torch.device,
        *,
        shared: StageResults | None = None,
    ) -> None:
        self.spec, self.data, self.device = spec, data, device
        self.precision = choose_precision(spec.options.precision, Hardware.of(device))
        self.precisions = [self.precision.label]
        with torch.random.fork_rng(devices=gpus(device)):
            torch.manual_seed(spec.options.seed)
            method = build_method(spec.method, spec.config, teacher)
        # Batches come in channels-last order from the decoded cache; convolutions are fastest when weights follow.
        self.method: Method = method.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.stages = list(self.method.stages())
        self._clock = StageClock(self.stages, evaluations=spec.options.evaluations)
        self.epoch = 0
        self.best = BestEpoch()
        self.train_seconds = self.measure_seconds = self.reused_seconds = 0.0
        self._stage_key = ""
        self._shared = shared if shared is not None and sharable(self.stages) else None
        self._features = TrialFeatures(self.method, data)
        self._told: Told = nobody
        self._gradients = BatchGradients(self.precision, self._features.give_up)
        self._source = ImageSource(data.train.images, device)
        planting = Planting(spec, lambda: data.textures)
        planting.check(self.stages)
        self._batches = BatchMaker(self.method, self.stages, data, self._source, planting)
        self._selection_source: ImageSource | None = None
        self.examined = Examinations(self.method, data, self._selection, planting)
        self._optimizer: torch.optim.Optimizer | None = None
        self._average: WeightAverage | None = None

    @property
    def parts(self) -> int:
        """In how many parts a batch is taken: one, or two after the GPU's memory ran out for a whole one."""
        return self._gradients.parts

    @property
    def total_epochs(self) -> int:
        """Epochs over all stages."""
        return self._clock.total

    @property
    def finished(self) -> bool:
        """Whether every epoch has been trained."""
        return self.epoch >= self.total_epochs

    @property
    def steps(self) -> list[int]:
        """Of each stage, the steps of an epoch: batches of the train images."""
        a_pass = -(-len(self._source) // self.spec.config.batch_size)
        return [self._pace(stage).steps if isinstance(stage, Stage) else a_pass for stage in self.stages]

    def run(self, on_epoch: Callable[[EpochResult], None] | None = None, told: Told = nobody) -> None:
        """Trains what is left.

        Args:
            on_epoch: told what each epoch gave.
            told: how far an epoch is.
        """
        self._told = self._features.told = told
        while not self.finished:
            result = self.step()
            if on_epoch is not None:
                on_epoch(result)

    def step(self) -> EpochResult:
        """Trains the next epoch, and measures it on the selection part when that is due.

        The epochs of a first stage are passed over when another trial has left its result.

        Raises:
            NonFiniteLossError: the loss or the maps became NaN or infinite; names the configuration.
            DeviceMemoryError: the GPU's memory ran out, also for half a batch.
        """
        self._take_first_stage()
        index, stage_epoch = self._clock.position(self.epoch)
        stage = self.stages[index]
        started = time.perf_counter()
        try:
            losses = self._train_epoch(stage, index, stage_epoch)
            trained = time.perf_counter()
            self.epoch += 1
            if stage_epoch + 1 == stage.epochs and self._average is not None:
                self._average.settle()
                self._average = None
            found = self.examined.of(self._clock.over(self.epoch))
            report = self._measure() if self._clock.due(stage, stage_epoch + 1) else None
        except (DeviceMemoryError, torch.OutOfMemoryError) as error:
            raise out_of_memory(self.spec, stage.name, self.parts, error) from None
        measured = time.perf_counter()
        self.train_seconds += trained - started
        self.measure_seconds += measured - trained
        self._give_first_stage()
        if self.finished:
            self.close()
        return EpochResult(
            epoch=self.epoch,
            stage=stage.name,
            selection_epoch=self._clock.selection_epoch(self.epoch),
            losses=losses,
            report=report,
            seconds=(trained - started, measured - trained),
            parts=self.parts,
            found=found,
        )

    def close(self) -> None:
        """Lets go of kept features; to be called when a trial ends before its last epoch, and harmless at any time."""
        self._features.close()

    def footprint(self) -> dict[str, float]:
        """What the method costs to use, measured on the selection part's images; see `kdzoo.training.footprint`."""
        return footprint(self.method, self._selection(), tiles=self.data.selection.tiles)

    def selection_scores(self) -> Scored:
        """Maps and scores of the selection part, of the method as it is."""
        source = self._selection()
        features = self._features.of_selection(None, source, passes=0)
        scored = score_set(self.method, self.data.selection, source, folder=self.data.cache, features=features)
        self.close()
        return scored

    def load_best(self) -> None:
        """Puts the best weights back into the method."""
        if not self.best.weights:
            raise CheckpointError("no epoch has been measured yet, so there are no best weights")
        load_learned(self.method, self.best.weights)

    def state(self, *, over: bool = False) -> dict[str, Any]:
        """Everything needed to go on, as tensors and plain values; of a trial that is over the best weights alone.

        The tensors are the trainer's own: write them before the next step changes them. A trial may be ``over`` with
        epochs left.
        """
        over |= self.finished
        return {
            "epoch": self.epoch,
            "weights": {} if over else self.method.learned_state(),
            "optimizer": None if over or self._optimizer is None else self._optimizer.state_dict(),
            "average": None if over or self._average is None else self._average.state(),
            **self.best.as_state(),
            "train_seconds": self.train_seconds,
            "measure_seconds": self.measure_seconds,
            "reused_seconds": self.reused_seconds,
            "parts": self.parts,
            "precisions": self.precisions,
            "examined": self.examined.as_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Goes on from a `state`.

        Raises:
            CheckpointError: it does not fit this trial, or is of one that was over before its last epoch.
        """
        self.load_result(state)
        with fitting():
            if self.finished:
                return
            if not state["weights"]:
                raise CheckpointError("a trial that was over left its best weights alone: nothing to go on from")
            load_learned(self.method, state["weights"])
            self.precisions = list(dict.fromkeys([*self.precisions, self.precision.label]))
            stage = self.stages[self._clock.position(self.epoch)[0]]
            if self._clock.position(self.epoch)[1] > 0 and isinstance(stage, Stage):
                self._optimizer = self._pace(stage).optimizer(stage.modules)
                self._optimizer.load_state_dict(state["optimizer"])
                self._average = self._make_average(stage)
                if self._average is not None:
                    self._average.load_state(state["average"])

    def load_result(self, state: dict[str, Any]) -> None:
        """Takes what a trial came to from a `state`, as if it was over; raises as `load_state` does."""
        with fitting():
            epoch = int(state["epoch"])
            if not 0 <= epoch <= self.total_epochs:
                raise CheckpointError(f"epoch {epoch} is not one of {self.total_epochs}")
            self.epoch = epoch
            self.best = BestEpoch.from_state(state)
            self.close()
            if self.best.weights:
                load_learned(self.method, self.best.weights)
            self.train_seconds, self.measure_seconds = float(state["train_seconds"]), float(state["measure_seconds"])
            self.reused_seconds = float(state["reused_seconds"])
            parts = int(state["parts"])
            if parts not in (1, HALVES):
                raise CheckpointError(f"a batch is taken in 1 or {HALVES} parts, not in {parts}")
            self._gradients.parts = parts
            # An earlier kdzoo trained in float32 and did not say so.
            self.precisions = [str(label) for label in state.get("precisions", ["float32"])]
            self.examined.load(state.get("examined", {}))
            self._optimizer = self._average = None

    def _take_first_stage(self) -> None:
        """Takes another trial's first stage in place of what is left of it here."""
        stage = self.stages[0]
        if self._shared is None or self.epoch >= stage.epochs:
            return
        tensors = stage_tensors(stage)
        found = self._shared.take(self.spec.category, self._first_stage_key(self._shared), tensors)
        if found is not None:
            copy_tensors(found.tensors, tensors)
            self.reused_seconds = found.seconds * (stage.epochs - self.epoch) / stage.epochs
            self.epoch, self._optimizer = stage.epochs, None

    def _give_first_stage(self) -> None:
        """Leaves the first stage to other trials, unless it was trained as they would not have done it themselves."""
        stage, alike = self.stages[0], self.parts == 1 and len(self.precisions) == 1
        if self._shared is not None and self.epoch == stage.epochs and alike:
            key = self._first_stage_key(self._shared)
            self._shared.give(self.spec.category, key, stage_tensors(stage), self.train_seconds)

    def _first_stage_key(self, shared: StageResults) -> str:
        if not self._stage_key:
            self._stage_key = shared.key(self.spec, self.stages[0], self.method, self.device, self.data.identity)
        return self._stage_key

    def _pace(self, stage: Stage) -> Pace:
        """Of the stage that is due."""
        return Pace(
            self.spec.config, stage, len(self._source), (self.spec.options.seed, self._clock.position(self.epoch)[0])
        )

    def _make_average(self, stage: Stage) -> WeightAverage | None:
        decay = self.spec.options.ema
        return WeightAverage(stage.modules, decay) if decay else None

    def _enter(self, stage: Stage, stage_epoch: int) -> torch.optim.Optimizer:
        """Freezes all but the stage's modules, and gives the optimizer with the rate of the epoch's first step."""
        pace = self._pace(stage)
        self.method.eval()
        self.method.requires_grad_(False)
        for module in stage.modules:
            module.train()
            module.requires_grad_(True)
        if stage_epoch == 0 or self._optimizer is None:
            self._optimizer, self._average = pace.optimizer(stage.modules), self._make_average(stage)
        set_rate(self._optimizer, pace.rate(stage_epoch, 0))
        return self._optimizer

    def _train_epoch(self, stage: Phase, index: int, stage_epoch: int) -> dict[str, float]:
        seeds = np.random.SeedSequence([self.spec.options.seed, index, stage_epoch])
        order = np.random.default_rng(seeds)
        with torch.random.fork_rng(devices=gpus(self.device)):
            if isinstance(stage, OnePass):
                torch.manual_seed(int(order.integers(2**62)))
                kept, config = self._features, self.spec.config
                means = take_pass(stage, self.method, self.data, self._source, kept, config, told=self._told)
            else:
                means = self._train_steps(stage, stage_epoch, order)
        if not all(np.isfinite(value) for value in means.values()):
            raise NonFiniteLossError(
                f"the loss became {means.get('loss', means)} in epoch {self.epoch + 1} (stage '{stage.name}') of "
                f"{self.spec.method} on {self.spec.category_name} with {self.spec.config.as_dict()}",
                hint="lower the learning rate",
            )
        return means

    def _train_steps(self, stage: Stage, stage_epoch: int, order: np.random.Generator) -> dict[str, float]:
        """The steps of an epoch; gives the means of the losses."""
        optimizer, pace = self._enter(stage, stage_epoch), self._pace(stage)
        generator = torch.Generator(device=self.device).manual_seed(int(order.integers(2**62)))
        batches = pace.batches(stage_epoch, order)
        totals: dict[str, Tensor] = {}
        with self.precision.training():
            features = self._features.of_train(stage, self._source, passes=pace.passes(stage_epoch))
            torch.manual_seed(int(order.integers(2**62)))
            for step, indices in enumerate(batches):
                set_rate(optimizer, pace.rate(stage_epoch, step))
                for name, value in self._train_batch(stage, optimizer, indices, generator, features).items():
                    # Summed on the device: reading each step's loss would make the GPU wait.
                    totals[name] = totals.get(name, 0.0) + value
                self._told("steps", step + 1, len(batches))
        return {name: float(total) / len(batches) for name, total in totals.items()}

    def _train_batch(
        self,
        stage: Stage,
        optimizer: torch.optim.Optimizer,
        indices: NDArray[np.int64],
        generator: torch.Generator,
        features: FeatureSource | None,
    ) -> dict[str, Tensor]:
        """One step; gives the losses, on the device. Nothing here makes the host wait for it."""
        optimizer.zero_grad(set_to_none=True)
        losses = self._gradients(stage, self._batches(stage, indices, generator, features))
        optimizer.step()
        if self._average is not None:
            self._average.update()
        return losses

    def _selection(self) -> ImageSource:
        if self._selection_source is None:
            self._selection_source = ImageSource(self.data.selection.images, self.device)
        return self._selection_source

    def _selection_features(self) -> FeatureSource | None:
        """Of the selection part after an epoch, kept as long as there is memory."""
        index, stage_epoch = self._clock.position(self.epoch - 1)
        stage = self.stages[index]
        passes = sum(self._clock.due(stage, done) for done in range(stage_epoch + 1, stage.epochs + 1))
        return self._features.of_selection(stage, self._selection(), passes=passes)

    def _scored(self, features: FeatureSource | None) -> Scored:
        """What the method says of the selection part; features that are in the way are let go of."""
        source, truth, folder = self._selection(), self.data.selection, self.data.cache
        try:
            return score_set(self.method, truth, source, folder=folder, features=features)
        except torch.OutOfMemoryError:
            if not self._features.give_up():
                raise
        release_memory()
        return score_set(self.method, truth, source, folder=folder, features=features)

    def _measure(self) -> Report:
        try:
            with nullcontext() if self._average is None else self._average.in_place():
                labels, inside = self.data.selection.by_row
                features, seed = self._selection_features(), self.spec.options.split_seed
                if self.method.settles_on == "train":
                    self._settle_on_train(seed)
                else:
                    settle(self.method, self._selection(), labels, seed=seed, features=features, inside=inside)
                return self._measured(self._scored(features))
        except NonFiniteLossError as error:
            raise NonFiniteLossError(
                f"{error.message} in epoch {self.epoch} of {self.spec.method} on {self.spec.category_name} "
                f"with {self.spec.config.as_dict()}",
                hint=error.hint,
            ) from error

    def _settle_on_train(self, seed: int) -> None:
        stage, frozen = self.stages[self._clock.position(self.epoch - 1)[0]], self.method.frozen()
        labels, inside = self.data.train_set.by_row
        # What the stage takes of the images is what a map takes of them, unless it was made with fewer digits.
        same = stage.frozen is not None and frozen is not None and stage.frozen.name == frozen.name
        exact = self.precision.label == "float32"
        features = self._features.of_train(stage, self._source, passes=1) if same and exact else None
        settle(self.method, self._source, labels, seed=seed, features=features, inside=inside)

    def _measured(self, scored: Scored) -> Report:
        """The report of scored images; keeps the weights that they were scored with, if these are the best so far."""
        options = self.spec.options
        report = measure(scored, self.data.selection, aupro_limit=options.aupro_limit)
        self.best.offer(report, options.objective, self.epoch, self.method.learned_state())
        return report
