"""The files of infra/ agree with each other, with the code and with the versions that were tested."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from string import Template

import jsonschema
import pytest
import ray.autoscaler
import yaml

from kdzoo.settings import Settings
from zoo_registry.format.layout import PROBE

ROOT = Path(__file__).resolve().parents[3]
INFRA = ROOT / "infra"
PINNED = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line)
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN$|ACCESS_KEY")
READ_BY_KDZOO = re.compile(r"\"((?:KDZOO|MLFLOW|RAY)_[A-Z_]+)\"")


class StrictLoader(yaml.SafeLoader):
    """YAML in which a key may stand once."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        assert len(keys) == len(set(keys)), f"a key stands twice in line {node.start_mark.line + 1}: {keys}"
        return super().construct_mapping(node, deep)


def load(name):
    return yaml.load((INFRA / name).read_text(), StrictLoader)


def services():
    return load("compose.yaml")["services"]


def environment_of(pod):
    return {one["name"]: one for one in pod.get("env", [])}


@pytest.mark.parametrize("file", sorted(INFRA.rglob("*.yaml")), ids=lambda file: file.name)
def test_yaml_is_strict(file):
    assert isinstance(load(file.relative_to(INFRA)), dict)


def test_every_secret_of_the_compose_file_must_be_given():
    for name, service in services().items():
        for variable, value in service.get("environment", {}).items():
            if SECRET.search(variable):
                assert re.fullmatch(r"\$\{[A-Z0-9_]+:\?set [A-Z0-9_]+\}", value), f"{name}: {variable}"


def test_images_are_pinned():
    for name, service in services().items():
        image = service["image"]
        assert "build" in service or re.fullmatch(r"[a-z/]+:[A-Za-z0-9.-]*\d[A-Za-z0-9.-]*", image), f"{name}: {image}"


def test_addresses_in_the_compose_file_name_services_and_their_ports():
    found = services()
    text = json.dumps(found)
    assert set(re.findall(r"://(?:\w+@)?([a-z0-9-]+):\d+", text)) <= {*found, "127", "127.0.0.1"}
    mlflow, ray = found["mlflow"]["environment"], found["ray-worker"]["environment"]
    assert ray["MLFLOW_TRACKING_URI"] == f"http://mlflow:{mlflow['MLFLOW_PORT']}"
    assert f"mlflow:{mlflow['MLFLOW_PORT']}" in mlflow["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    assert ray["RAY_HEAD"] == f"ray-head:{found['ray-head']['environment']['RAY_PORT']}"
    buckets = {mlflow["MLFLOW_ARTIFACTS_DESTINATION"].split("/")[2], ray["KDZOO_ZOO"].split("/")[2]}
    assert buckets == set(found["buckets"]["entrypoint"][1:])


def test_all_ports_that_leave_a_container_stay_on_this_machine():
    ports = [port for service in services().values() for port in service.get("ports", ())]
    assert len(ports) == 3 and all(port.startswith("127.0.0.1:") for port in ports)


def test_workers_have_no_credentials_and_share_the_home():
    found = services()
    assert not [name for name in found["ray-worker"]["environment"] if name.startswith("AWS_")]
    for name in ("ray-head", "ray-worker"):
        assert found[name]["volumes"] == [f"kdzoo-home:{found[name]['environment']['KDZOO_HOME']}"]


def test_kdzoos_variables_are_ones_that_it_reads():
    read = set(READ_BY_KDZOO.findall((ROOT / "kdzoo/settings.py").read_text()))
    assert {"KDZOO_HOME", "MLFLOW_TRACKING_URI", "RAY_ADDRESS"} <= read
    text = "".join(path.read_text() for path in INFRA.rglob("*") if path.is_file() and path.name != "README.md")
    given = set(re.findall(r"\bKDZOO_[A-Z_]+\b", text))
    assert given - read == {"KDZOO_NFS"}  # of the machine image in ray-aws.yaml
    assert Settings.from_environment({"KDZOO_HOME": "/kdzoo"}).home == Path("/kdzoo")


def test_versions_are_the_tested_ones():
    assert load("kubernetes/raycluster.yaml")["spec"]["rayVersion"] == PINNED["ray"]
    dockerfile = (INFRA / "Dockerfile").read_text()
    for line in re.findall(r"pip install [^;\\&\n]*", dockerfile):
        assert "-c constraints.txt" in line
    for source in re.findall(r"^COPY ((?:(?!--).)*) \S+$", dockerfile, re.MULTILINE):
        assert all((ROOT / name).exists() for name in source.split()), source
    targets = set(re.findall(r"^FROM \S+ AS (\w+)", dockerfile, re.MULTILINE))
    assert {service["build"]["target"] for service in services().values() if "build" in service} <= targets


def test_the_ray_cluster_file_is_one():
    cluster = load("ray-aws.yaml")
    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
    jsonschema.validate(cluster, schema)
    types = cluster["available_node_types"]
    assert cluster["head_node_type"] in types
    spot = [name for name, kind in types.items() if "InstanceMarketOptions" in kind["node_config"]]
    assert spot == ["gpu-spot"] and types["gpu-spot"]["resources"]["GPU"] == 1
    assert "IamInstanceProfile" not in types["gpu-spot"]["node_config"]


def test_kubernetes_files_agree():
    cluster, job, home = (load(f"kubernetes/{name}.yaml") for name in ("raycluster", "rayjob", "home"))
    assert (cluster["kind"], job["kind"]) == ("RayCluster", "RayJob")
    assert job["spec"]["rayClusterSpec"] == cluster["spec"]
    head = cluster["spec"]["headGroupSpec"]["template"]["spec"]
    (workers,) = cluster["spec"]["workerGroupSpecs"]
    worker = workers["template"]["spec"]
    for pod in (head, worker):
        (claim,) = pod["volumes"]
        assert claim["persistentVolumeClaim"]["claimName"] == home["metadata"]["name"]
        (container,) = pod["containers"]
        assert container["volumeMounts"][0]["mountPath"] == environment_of(container)["KDZOO_HOME"]["value"]
    driver = environment_of(head["containers"][0])
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert "secretKeyRef" in driver[name]["valueFrom"] and name not in environment_of(worker["containers"][0])
    limits = worker["containers"][0]["resources"]["limits"]
    assert limits["nvidia.com/gpu"] == 1
    assert home["spec"]["accessModes"] == ["ReadWriteMany"]


def test_rights_are_the_least():
    def allowed(name):
        text = (INFRA / "terraform/policies" / f"{name}.json").read_text()
        policy = json.loads(Template(text).substitute(bucket="b", prefix="zoo"))
        return {(action, where) for one in policy["Statement"] for action in one["Action"] for where in one["Resource"]}

    objects, bucket = "arn:aws:s3:::b/zoo/*", "arn:aws:s3:::b"
    reader = {("s3:GetObject", objects), ("s3:ListBucket", bucket)}
    assert allowed("reader") == reader
    assert allowed("publisher") - reader == {
        ("s3:PutObject", objects),
        ("s3:AbortMultipartUpload", objects),
        ("s3:DeleteObject", f"arn:aws:s3:::b/zoo/{PROBE}*"),
    }


def test_terraform_closes_what_it_opens_and_names_files_that_are_there():
    text = "".join(path.read_text() for path in sorted((INFRA / "terraform").glob("*.tf")))
    assert all(text.count(a) == text.count(b) for a, b in ("{}", "[]", "()"))
    for name in re.findall(r"\$\{path\.module\}/([\w./]+)", text):
        assert (INFRA / "terraform" / name).is_file()
    declared = set(re.findall(r'variable "(\w+)"', text))
    assert set(re.findall(r"\bvar\.(\w+)", text)) == declared
    made = {f"{kind}.{name}" for kind, name in re.findall(r'resource "(\w+)" "(\w+)"', text)}
    assert set(re.findall(r"\b(aws_\w+\.\w+)\.\w+", text)) <= made
    assert "abort_incomplete_multipart_upload" in text


@pytest.mark.parametrize("kind", ["head", "worker"])
def test_a_node_of_ray_starts_without_the_drivers_keys(tmp_path, kind):
    (tmp_path / "ray").write_text("#!/bin/sh\nenv\n")
    (tmp_path / "ray").chmod(0o755)
    given = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "RAY_AUTH_TOKEN": "token-of-the-cluster",
        "RAY_HEAD": "head:6379",
        **dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"), "of-the-driver"),
        "AWS_ENDPOINT_URL": "http://s3:9000",
    }
    done = subprocess.run([INFRA / "entrypoints" / "ray-node", kind], env=given, capture_output=True, text=True)
    assert done.returncode == 0 and "token-of-the-cluster" in done.stdout and "http://s3:9000" in done.stdout
    assert "of-the-driver" not in done.stdout


@pytest.mark.parametrize("name", ["mlflow-server", "ray-node"])
def test_entrypoints_say_what_they_lack(name):
    script = INFRA / "entrypoints" / name
    subprocess.run(["bash", "-n", script], check=True)
    done = subprocess.run([script], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False)
    wanted = {"mlflow-server": "MLFLOW_BACKEND_STORE_URI", "ray-node": "RAY_AUTH_TOKEN"}[name]
    assert done.returncode != 0 and wanted in done.stderr


def test_ray_node_wants_to_know_which():
    script = INFRA / "entrypoints" / "ray-node"
    given = {"PATH": os.environ["PATH"], "RAY_AUTH_TOKEN": "a"}
    done = subprocess.run([script, "tail"], env=given, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "usage: ray-node head|worker\n")


def test_buckets_are_made_once_with_the_rule(s3):
    command = [sys.executable, INFRA / "entrypoints" / "make-buckets", "zoo-of-a-test"]
    for expected in ("made zoo-of-a-test\n", None):
        done = subprocess.run(command, env=os.environ | s3.variables(), capture_output=True, text=True, check=True)
        assert expected is None or done.stdout == expected
    (rule,) = s3.client().get_bucket_lifecycle_configuration(Bucket="zoo-of-a-test")["Rules"]
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 2} and rule["Status"] == "Enabled"
