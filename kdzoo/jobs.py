"""Commands that run on a cluster: jobs of Ray's job server, sent and watched over HTTP."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

from kdzoo.errors import MissingDependencyError, SweepError, UnknownNameError, UsageError
from kdzoo.search.workers.cluster import check_address
from zoo_registry.addresses import without_credentials

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

DEFAULT_ADDRESS = "http://127.0.0.1:8265"
"""Where Ray's dashboard, which the job server is part of, listens on a head that was told nothing else."""

_OURS = "kdzoo-"
_ANSWER_SECONDS = 10.0
_PROXY = "RAY_API_SERVER_ADDRESS"
_STOP_SECONDS = 3600
_ENDING: Final[Mapping[str, str]] = {
    # To a command that is what Ctrl-C is: a sweep ends its training, then measures and publishes what is finished.
    "RAY_JOB_STOP_SIGNAL": "SIGINT",
    # Ray's own three seconds would kill it while it publishes.
    "RAY_JOB_STOP_WAIT_TIME_S": str(_STOP_SECONDS),
}

JobState = Literal["pending", "running", "stopped", "succeeded", "failed"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """A command on a cluster.

    Attributes:
        id: by which it is asked for.
        state: how it stands.
        command: what runs, as a shell reads it.
        message: what Ray says of the state.
        started: when, in seconds of the epoch; None before it did.
        ended: when it did; None while it runs.
        status: its exit status; None where it has none.
        variables: of the environment, that went along.
    """

    id: str
    state: JobState
    command: str
    message: str = ""
    started: float | None = None
    ended: float | None = None
    status: int | None = None
    variables: Mapping[str, str]

    @property
    def over(self) -> bool:
        """Whether nothing of it runs any more."""
        return self.state in ("stopped", "succeeded", "failed")


class ClusterJobs:
    """The jobs of one cluster that kdzoo sent.

    Args:
        address: ``http://head:8265``, or that of the cluster itself, ``head:6379``; ``auto`` for one of this machine.

    Raises:
        UsageError: it is no address.
        SweepError: no job server answers there, or it wants another token.
        MissingDependencyError: a part of Ray that talks to job servers is not installed here.
    """

    def __init__(self, address: str) -> None:
        self.address = _http_address(address)
        with _translated(self.address):
            self._client = _client(self.address)

    def submit(self, arguments: Sequence[str], variables: Mapping[str, str]) -> str:
        """Starts a kdzoo command on the head of the cluster; gives the job's id.

        Nothing is uploaded: the cluster has kdzoo, and the command names what is there.

        Args:
            arguments: of `kdzoo`, the command first.
            variables: of the environment, for the command; everybody who sees the cluster's dashboard sees them.

        Raises:
            UsageError: an argument holds credentials.
            SweepError: the cluster does not take it.
        """
        check_arguments(arguments)
        name = f"{_OURS}{arguments[0]}-{uuid.uuid4().hex[:8]}"
        with _translated(self.address):
            return str(
                self._client.submit_job(
                    entrypoint=shlex.join(["kdzoo", *arguments]),
                    submission_id=name,
                    runtime_env={"env_vars": {**variables, **_ENDING}},
                )
            )

    def all(self) -> list[Job]:
        """The jobs, the latest first.

        Raises:
            SweepError: the cluster does not answer.
        """
        with _translated(self.address):
            found = [_job(one) for one in self._client.list_jobs() if str(one.submission_id).startswith(_OURS)]
        return sorted(found, key=lambda job: job.started or 0.0, reverse=True)

    def find(self, name: str) -> Job:
        """A job by its id.

        Raises:
            UnknownNameError: there is none of that id.
            SweepError: the cluster does not answer.
        """
        found = {job.id: job for job in self.all()}
        if name not in found:
            raise UnknownNameError("job", name, found)
        return found[name]

    def logs(self, name: str) -> str:
        """What a job has printed so far.

        Raises:
            UnknownNameError: there is none of that id.
            SweepError: the cluster does not answer.
        """
        self.find(name)
        with _translated(self.address):
            return str(self._client.get_job_logs(name))

    def follow(self, name: str, write: Callable[[str], object]) -> Job:
        """Hands on what a job prints, from its beginning, until the job is over; gives how it ended.

        Raises:
            UnknownNameError: there is none of that id.
            SweepError: the connection is lost; the job goes on.
        """
        self.find(name)

        async def tail() -> None:
            async for text in self._client.tail_job_logs(name):
                write(text)

        with _translated(self.address):
            asyncio.run(tail())
        job = self.find(name)
        if not job.over:
            raise SweepError(
                f"the connection to the job '{name}' was lost; it goes on",
                hint=f"kdzoo submit logs {name} --follow",
            )
        return job

    def stop(self, name: str) -> None:
        """Asks a job to finish, as Ctrl-C would; it is killed if it has not within an hour.

        Raises:
            UnknownNameError: there is none of that id.
            SweepError: it is over, or the cluster does not answer.
        """
        job = self.find(name)
        if job.over:
            raise SweepError(f"the job '{name}' is over: {job.state}", hint=f"kdzoo submit show {name}")
        with _translated(self.address):
            self._client.stop_job(name)


def split_variables(given: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Parts variables into those that may go to a cluster, and those that stay, each with the reason.

    Args:
        given: name to value.
    """
    sent, kept = {}, {}
    for name, value in given.items():
        parsed = urlsplit(value)
        if without_credentials(value) != value:
            kept[name] = "it holds credentials, which everybody who sees the dashboard would see"
        elif name in ("KDZOO_ZOO", "MLFLOW_TRACKING_URI") and parsed.scheme not in ("s3", "http", "https"):
            kept[name] = "it names a place on this machine"
        else:
            sent[name] = value
    return sent, kept


def check_arguments(arguments: Sequence[str]) -> None:
    """Refuses a command that holds credentials, such as an address with a password.

    Raises:
        UsageError: it does.
    """
    for argument in arguments:
        shown = without_credentials(argument)
        if shown != argument:
            raise UsageError(
                f"'{shown}' holds credentials here, which everybody who sees the dashboard would see",
                hint="leave them out: the cluster has its own",
            )


def _job(details: Any) -> Job:
    """Our view of Ray's record of a job."""
    environment = (details.runtime_env or {}).get("env_vars", {})
    return Job(
        id=str(details.submission_id),
        state=str(details.status.value).lower(),  # type: ignore[arg-type]
        command=str(details.entrypoint),
        message=str(details.message or ""),
        started=details.start_time / 1000 if details.start_time else None,
        ended=details.end_time / 1000 if details.end_time else None,
        status=details.driver_exit_code,
        variables={name: value for name, value in environment.items() if name not in _ENDING},
    )


def _http_address(address: str) -> str:
    """The job server's address, found out in seconds where Ray itself would wait for minutes."""
    if "://" in address:
        if urlsplit(address).scheme not in ("http", "https"):
            raise UsageError(f"'{address}' is no address of a job server", hint=f"for example {DEFAULT_ADDRESS}")
        _check_server(address)
        return address.rstrip("/")
    if address != "auto":
        if _answer(f"http://{address}") is not None:
            _check_server(f"http://{address}")
            return f"http://{address}"
        check_address(address)
    from ray.dashboard.utils import ray_address_to_api_server_url

    with _translated(address):
        found = str(ray_address_to_api_server_url(address))
    _check_server(found)
    return found


def _check_server(address: str) -> None:
    """Checks that a job server answers.

    Raises:
        SweepError: it does not.
    """
    answer = _answer(address)
    if answer is None:
        raise SweepError(
            f"no Ray job server answers at '{address}'",
            hint="it is part of the dashboard on the head node (port 8265): install kdzoo[cluster] there, start the "
            "head with --dashboard-host where others are to reach it, and give its address by --address",
        )
    if answer == 404 or answer >= 500:
        raise SweepError(
            f"what answers at '{address}' is no Ray job server (HTTP {answer})",
            hint="a Ray without its dashboard has none: install kdzoo[cluster] on the head node",
        )


def _answer(address: str) -> int | None:
    """The HTTP status with which a server answers; None of what does not speak HTTP, or does not within seconds."""
    request = urllib.request.Request(f"{address.rstrip('/')}/api/version")
    try:
        with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, ValueError):
        return None
    except Exception as error:
        if type(error).__module__ == "http.client":
            return None
        raise


def _client(address: str) -> JobSubmissionClient:
    from ray.job_submission import JobSubmissionClient

    # It tells of every connection that it closes.
    logging.getLogger(JobSubmissionClient.__module__).setLevel(logging.WARNING)
    # Ray puts its variables above the address that it is given.
    before = os.environ.get(_PROXY)
    os.environ[_PROXY] = address
    try:
        return JobSubmissionClient(address)
    finally:
        if before is None:
            del os.environ[_PROXY]
        else:
            os.environ[_PROXY] = before


@contextmanager
def _translated(address: str) -> Iterator[None]:
    """Turns what Ray's client raises into our errors."""
    try:
        yield
    except ImportError as error:
        raise MissingDependencyError(
            f"Ray's job client needs '{error.name}', which is not installed", hint="pip install 'kdzoo[cluster]'"
        ) from error
    except Exception as error:
        # Those of `requests` are kinds of `OSError`; those of `aiohttp`, which follows a job's output, of nothing else.
        if not isinstance(error, RuntimeError | OSError | ValueError) and not _of_aiohttp(error):
            raise
        first = str(error).strip().splitlines()
        what = first[0] if first else type(error).__name__
        token = type(error).__name__ == "AuthenticationError"
        hint = "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN as on the cluster" if token else "see the dashboard there"
        raise SweepError(f"Ray at '{address}': {what}", hint=hint) from error


def _of_aiohttp(error: Exception) -> bool:
    """Whether a connection failed in a library that is there only where it raised this."""
    return any(kind.__module__.startswith("aiohttp.") for kind in type(error).__mro__)
