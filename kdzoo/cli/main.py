"""Entry point of `kdzoo`."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence

import click

from kdzoo._version import __version__
from kdzoo.cli.groups import LazyGroup
from kdzoo.cli.say import only_text, tell_error, tell_usage
from kdzoo.cli.utf8 import begin_again_in_utf8

_COMMANDS = {
    "sweep": ("kdzoo.cli.sweep.group", "sweep", "Find the best configuration for every category, and publish it."),
    "submit": ("kdzoo.cli.submit.group", "submit", "Run a command on a Ray cluster, as a job there."),
    "train": ("kdzoo.cli.train", "train", "Train one method on one category."),
    "retrain": ("kdzoo.cli.retrain", "retrain", "Train a release's configuration again, on the data as it is now."),
    "evaluate": ("kdzoo.cli.evaluate", "evaluate", "Measure a detector on its data set."),
    "predict": ("kdzoo.cli.predict", "predict", "Judge images with a detector."),
    "calibrate": ("kdzoo.cli.calibrate", "calibrate", "Give a detector new thresholds, without training."),
    "leaderboard": ("kdzoo.cli.leaderboard", "leaderboard", "Rank what sweeps have found."),
    "zoo": ("kdzoo.cli.zoo.group", "zoo", "List, show, pull and promote published detectors."),
    "teacher": (
        "kdzoo.cli.teacher.group",
        "teacher",
        "List, add, share and train the backbones that students learn from.",
    ),
    "data": ("kdzoo.cli.data.group", "data", "List, fetch, check and look at data sets."),
    "cache": ("kdzoo.cli.cache.group", "cache", "See what the cache holds, and empty it."),
    "ui": ("kdzoo.cli.ui", "ui", "Open the MLflow UI on kdzoo's runs."),
    "mlflow": ("kdzoo.cli.mlflow.group", "mlflow", "Send MLflow what it has not got yet."),
    "methods": ("kdzoo.cli.methods", "methods", "List the methods and their knobs."),
    "doctor": ("kdzoo.cli.doctor", "doctor", "Check that everything a sweep needs is there."),
    "space": ("kdzoo.cli.space", "space", "Show what a sweep would search."),
}


@click.group(
    cls=LazyGroup,
    lazy=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Add --debug to any command for a traceback. Files live under KDZOO_HOME (default ~/.kdzoo).",
)
@click.version_option(__version__, prog_name="kdzoo")
def cli() -> None:
    """Find the best anomaly detector for each product category, and load it by name.

    \b
    Examples:
      kdzoo sweep aand --dataset demo
      kdzoo leaderboard
      kdzoo predict aand demo/weave photos/*.png --out judged
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command and exits; every foreseen error ends in one clear message."""
    if arguments is None:
        begin_again_in_utf8()
    # Between Pillow's limit and ours, which refuses more in one clear line, images are large and welcome.
    warnings.filterwarnings("ignore", message="Image size .* could be decompression bomb")
    given = list(sys.argv[1:] if arguments is None else arguments)
    own = given[: given.index("--")] if "--" in given else given
    debug = "--debug" in own
    only_text()
    try:
        from kdzoo.distributions import check_one

        check_one()
        typed = [item for item in own if item != "--debug"] + given[len(own) :]
        status = cli.main(list(typed), standalone_mode=False, obj=typed)
    except click.ClickException as error:
        tell_usage(error)
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(_report(KeyboardInterrupt()))
    except BrokenPipeError:
        # The reader of our output left; that is no failure of ours, and nothing more can be said to it.
        sys.stderr.close()
        sys.exit(0)
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            raise
        sys.exit(_report(error))
    sys.exit(status if isinstance(status, int) else 0)


def _report(error: BaseException) -> int:
    from kdzoo.cli.errors import FAILURE, Shown, shown

    seen = shown(error) or Shown(
        status=FAILURE,
        message=f"unforeseen {type(error).__name__}: {error}",
        hint="this is a bug in kdzoo; run again with --debug and report the traceback",
    )
    tell_error(seen.message, seen.hint)
    return seen.status
