"""The files of infra/ as the tools see them that will read them; each says what it could not check without its tool."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

INFRA = Path(__file__).resolve().parents[3] / "infra"
SECRETS = dict.fromkeys(("POSTGRES_PASSWORD", "S3_ACCESS_KEY", "S3_SECRET_KEY", "RAY_AUTH_TOKEN"), "given")


def run(*command, **environment):
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "NO_COLOR": "1", **environment}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("files", [("compose.yaml",), ("compose.yaml", "compose.cuda.yaml")], ids=["cpu", "cuda"])
def test_docker_compose_reads_the_stack(files):
    if shutil.which("docker") is None or run("docker", "compose", "version").returncode:
        pytest.skip("no docker compose here: the compose files were not read by it")
    given = [part for name in files for part in ("--file", str(INFRA / name))]
    read = run("docker", "compose", *given, "config", "--quiet", **SECRETS)
    assert read.returncode == 0, read.stderr
    without = run("docker", "compose", *given, "config", "--quiet")
    assert without.returncode != 0 and "set POSTGRES_PASSWORD" in without.stderr


def test_terraform_finds_the_files_well_formed():
    if shutil.which("terraform") is None:
        pytest.skip("no terraform here: its files were not parsed by it")
    found = run("terraform", f"-chdir={INFRA / 'terraform'}", "fmt", "-check", "-diff", "-no-color")
    assert found.returncode == 0, found.stdout + found.stderr


def test_terraform_knows_what_the_files_name(tmp_path):
    if shutil.which("terraform") is None:
        pytest.skip("no terraform here: resources and arguments were not checked")
    shutil.copytree(INFRA / "terraform", tmp_path / "terraform")
    at = f"-chdir={tmp_path / 'terraform'}"
    begun = run("terraform", at, "init", "-backend=false", "-input=false", "-no-color")
    if begun.returncode and "provider" in begun.stderr and "registry" in begun.stderr:
        pytest.skip("terraform's registry is out of reach: resources and arguments were not checked")
    assert begun.returncode == 0, begun.stderr
    found = run("terraform", at, "validate", "-no-color")
    assert found.returncode == 0, found.stdout + found.stderr


def test_ray_takes_the_cluster_file():
    config = yaml.safe_load((INFRA / "ray-aws.yaml").read_text())
    validate_config(prepare_config(config))
    config["available_node_types"]["gpu-spot"]["max_wrokers"] = 8
    with pytest.raises(Exception, match="max_wrokers"):
        validate_config(config)


@pytest.mark.parametrize("kind", ["raycluster", "rayjob"])
def test_pods_name_only_what_they_have(kind):
    spec = yaml.safe_load((INFRA / f"kubernetes/{kind}.yaml").read_text())["spec"]
    cluster = spec.get("rayClusterSpec", spec)
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        # What KubeRay's definition of these kinds requires of a group.
        assert isinstance(group["rayStartParams"], dict) and group["template"]["spec"]["containers"]
        pod = group["template"]["spec"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in pod["containers"]:
            assert {"name", "image", "resources"} <= container.keys()
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
            limits, requests = container["resources"]["limits"], container["resources"]["requests"]
            # Kubernetes refuses devices whose request and limit differ.
            assert limits.get("nvidia.com/gpu") == requests.get("nvidia.com/gpu")
    for group in cluster["workerGroupSpecs"]:
        assert group["groupName"] and 0 <= group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


@pytest.mark.parametrize("name", sorted(path.name for path in (INFRA / "entrypoints").iterdir()))
def test_entrypoints_can_be_run(name):
    path = INFRA / "entrypoints" / name
    assert os.access(path, os.X_OK) and path.read_text().startswith("#!/usr/bin/env ")


def test_the_dockerfile_is_read_by_dockers_own_check():
    if shutil.which("docker") is None or run("docker", "buildx", "version").returncode:
        pytest.skip("no docker buildx here: the Dockerfile was not checked by it")
    found = run("docker", "build", "--check", "--file", str(INFRA / "Dockerfile"), str(INFRA.parent))
    if "daemon" in found.stderr or "builder" in found.stderr:
        pytest.skip("docker has no engine here: the Dockerfile was not checked by it")
    assert found.returncode == 0, found.stdout + found.stderr
