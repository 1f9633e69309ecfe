"""`kdzoo train`: one trial in this process, without Ray, MLflow or a server."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from kdzoo.cli.datasets import open_or_download
from kdzoo.cli.notes import tell_note, tell_notes
from kdzoo.cli.one_run import open_target, say_run, train_and_keep
from kdzoo.cli.options import (
    build_options,
    check_epochs,
    device_option,
    json_option,
    parse_changes,
    run_options,
    zoo_option,
)
from kdzoo.cli.unfinished import open_again, teacher_again
from kdzoo.errors import UsageError
from kdzoo.storage import check_writable, not_left_empty

if TYPE_CHECKING:
    from kdzoo.data.catalog import Dataset
    from kdzoo.settings import Settings
    from kdzoo.training.spec import TrialSpec


@click.command()
@click.argument("method", required=False)
@run_options
@click.option("--category", "-c", metavar="NAME", help="Needed unless the data set has only one.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Where to write; default under KDZOO_HOME/runs."
)
@click.option("--publish", is_flag=True, help="Publish the detector to the zoo if it beats the champion.")
@click.option(
    "--resume", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER", help="Go on with a training."
)
@zoo_option
@device_option
@json_option
def train(
    method: str | None, dataset: str | None, download: bool, category: str | None, epochs: int | None,
    changes: tuple[str, ...], out: Path | None, publish: bool, resume: Path | None, zoo: str | None,
    device: str | None, as_json: bool, **given: Any,
) -> int:  # fmt: skip
    """Train METHOD on one category, measure it, and keep the detector in a folder.

    Ctrl-C keeps the best epoch so far, measured, and exits with 130; --resume FOLDER goes on from there. A training
    that was killed goes on after an epoch of its last minute or so.

    \b
    Examples:
      kdzoo train aand --dataset demo --category weave
      kdzoo train rd -d ./my-parts -c lid --epochs 40 --set learning_rate=0.002 --json
      kdzoo train --resume ~/.kdzoo/runs/rd-lid
    """
    from kdzoo.settings import Settings

    if zoo is not None and not publish:
        raise UsageError("--zoo says where to publish: add --publish, or leave it out")
    settings, before = Settings.from_environment(), None
    if resume is not None:
        _check_resuming(click.get_current_context())
        from kdzoo.training.unfinished import TrainingPlan

        before = TrainingPlan.read(resume)
        opened, spec, folder = open_again(before, settings), before.spec, resume
    else:
        if method is None or dataset is None:
            what = "METHOD" if method is None else "--dataset"
            raise UsageError(f"{what} is missing", hint="for example: kdzoo train aand -d demo -c weave")
        opened, spec = _spec(method, dataset, category, epochs, changes, given, settings, download=download)
        folder = out or settings.runs / f"{method}-{opened.name}-{spec.category}-{time.strftime('%Y%m%d-%H%M%S')}"
    # PyTorch comes with these: a mistyped name is told before.
    from kdzoo.teacher_zoo import obtain_teacher
    from kdzoo.zoo import entry_name

    with not_left_empty(folder):
        check_writable(folder)
        target = open_target(entry_name(spec.method, spec.category_name), settings, zoo) if publish else None
        if before is None:
            teacher = obtain_teacher(spec.options.teacher, settings, zoo=zoo, note=tell_note)
        else:
            teacher = teacher_again(before, folder, settings, zoo=zoo)
        outcome, result = train_and_keep(
            spec, opened, teacher, settings, folder=folder, device=device, target=target, before=before,
            keep_teacher=before is not None and before.kept_teacher is not None,
        )  # fmt: skip
    return say_run(outcome, result, dataset=dataset or opened.name, as_json=as_json)


for option in train.params:
    if option.name == "dataset":  # of a new training alone
        option.required = False


def _check_resuming(context: click.Context) -> None:
    """Refuses options that the training which is gone on with has settled.

    Raises:
        UsageError: there are such.
    """
    allowed = {"resume", "publish", "zoo", "device", "as_json"}
    told = {
        option.name
        for option in context.command.params
        if option.name and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE
    }
    settled = sorted(told - allowed)
    if settled:
        raise UsageError(
            f"'{settled[0].replace('_', '-')}' is settled by the training that --resume goes on with",
            hint="leave it out, or train anew without --resume",
        )


def _spec(
    method: str, dataset: str, category: str | None, epochs: int | None, changes: tuple[str, ...],
    given: dict[str, Any], settings: Settings, *, download: bool,
) -> tuple[Dataset, TrialSpec]:  # fmt: skip
    from kdzoo.methods.registry import find_method
    from kdzoo.search.space.space import SpaceFile
    from kdzoo.training.spec import TrialSpec

    entry = find_method(method)
    entry.check_installed()
    fixed = entry.config.from_mapping(parse_changes(changes)).as_dict()
    fixed = {key: fixed[key] for key in parse_changes(changes)}
    opened = open_or_download(dataset, settings, download=download)
    names = opened.categories()
    if category is None and len(names) != 1:
        raise UsageError(
            f"'{opened.name}' has {len(names)} categories: choose one with --category", hint=", ".join(names)
        )
    chosen = names[0] if category is None else opened.category_name(category)
    opened.category(chosen)
    space = SpaceFile(method).space(opened.name, chosen, changes=fixed)
    config = space.defaults
    check_epochs(epochs, fixed, [key for key in config.epoch_keys() if getattr(config, key)])
    if epochs is not None:
        config = config.replace(**config.epoch_split(epochs))
    options = build_options(opened, given, settings)
    options.check_planting(method, config)
    options.check_augment(method, config)
    tell_notes(options.notes)
    if given.get("protocol") is None:
        tell_notes(opened.notes)
    if given.get("foreground") is None and given.get("foreground_masks") is None and space.foreground is not None:
        options = options.replace(foreground=space.foreground)
    return opened, TrialSpec(method=method, config=config, dataset=opened.name, category=chosen, options=options)
