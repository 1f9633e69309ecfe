"""S3 servers with ways of their own, and servers that are none: what is said of them, and what is done."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from helpers.command import run
from helpers.s3_server import CREDENTIALS

from kdzoo.doctor.child import run_check
from kdzoo.doctor.finding import Asked
from zoo_registry.errors import RegistryError, StoreRefusedError, StoreUnavailableError
from zoo_registry.store.open import open_store
from zoo_registry.store.s3.checksums import checksums_of
from zoo_registry.store.s3.store import S3Store

REFUSALS = {
    "swift": ("501 Not Implemented", "NotImplemented"),
    "backblaze": ("400 Bad Request", "InvalidArgument"),
    "google": ("403 Forbidden", "SignatureDoesNotMatch"),
}
SENT = ("HTTP_X_AMZ_CHECKSUM", "HTTP_X_AMZ_SDK", "HTTP_X_AMZ_TRAILER")


def error(status, code, message):
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
    return status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))], body


@pytest.fixture(params=REFUSALS)
def refusing(request, s3, monkeypatch):
    """The server, which refuses whatever is written with a checksum that need not be sent."""

    def refuse(environ, answer):
        if environ["REQUEST_METHOD"] in ("PUT", "POST") and any(name.startswith(SENT) for name in environ):
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            return error(*REFUSALS[request.param], "no such header here")
        return answer()

    monkeypatch.setattr(s3, "chaos", refuse)
    yield s3
    checksums_of(s3.url).refused = False


def new_store(s3, bucket, **options):
    client = boto3.session.Session(**CREDENTIALS).client("s3", endpoint_url=s3.url)
    return S3Store(bucket, "zoo", client=client, **options)


def test_a_server_that_refuses_checksums_is_written_to_without(refusing, tmp_path, monkeypatch):
    bucket = refusing.new_bucket(refusing.client())
    store = new_store(refusing, bucket, multipart_bytes=1024)
    assert store.put_if_absent("a", b"1") and not store.put_if_absent("a", b"2")
    assert store.compare_and_swap("a", b"2", store.stat("a").etag)
    (tmp_path / "large").write_bytes(b"x" * 5000)
    assert store.put_if_absent("large", tmp_path / "large")
    assert (store.get("a"), store.stat("large").size) == (b"2", 5000)
    assert checksums_of(refusing.url).refused
    other = new_store(refusing, bucket)
    assert other.put_if_absent("b", b"1"), "another client knows it from the first"


@pytest.mark.parametrize("refusing", ["google"], indirect=True)
def test_a_person_who_asks_for_checksums_is_told(refusing, monkeypatch):
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_supported")
    bucket = refusing.new_bucket(refusing.client())
    with pytest.raises(StoreRefusedError, match="no such header here"):
        new_store(refusing, bucket).put_if_absent("a", b"1")
    assert not checksums_of(refusing.url).refused


def test_wrong_keys_stay_wrong_keys(s3, monkeypatch):
    bucket = s3.new_bucket(s3.client())

    def refuse(environ, answer):
        if environ["REQUEST_METHOD"] == "PUT":
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            return error("403 Forbidden", "SignatureDoesNotMatch", "")
        return answer()

    monkeypatch.setattr(s3, "chaos", refuse)
    store = new_store(s3, bucket)
    with pytest.raises(StoreRefusedError) as failed:
        store.put_if_absent("a", b"1")
    assert "credentials" in failed.value.hint and not checksums_of(s3.url).refused


class Page(BaseHTTPRequestHandler):
    """Answers everything with one page."""

    status, kind, head = 200, "text/html", ()

    def log_message(self, *_):
        pass

    def do_GET(self):
        body = b"<!DOCTYPE html>\n<html><body>Please sign in</body></html>"
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(self.status)
        for name, value in (("Content-Type", self.kind), ("Content-Length", str(len(body))), *self.head):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_PUT = do_POST = do_HEAD = do_DELETE = do_GET  # noqa: N815


PAGES = {
    "200": {},
    "200 with an ETag": {"head": (("ETag", '"1"'),)},
    "200 of no kind": {"kind": "application/octet-stream"},
    "302 to a sign-in page": {"status": 302, "head": (("Location", "/login"),)},
    "403": {"status": 403},
    "404": {"status": 404},
}


@pytest.fixture(params=PAGES)
def page(request, monkeypatch):
    """The address of a server that is none of S3's, and none of MLflow's."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("One", (Page,), PAGES[request.param]))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    for name, value in (("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_REGION", "us-east-1")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    yield address
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.list(""),
        lambda store: store.top(),
        lambda store: store.read("a"),
        lambda store: store.digest("a"),
        lambda store: store.leftovers(),
        lambda store: store.put_if_absent("a", b"1"),
    ],
    ids=["list", "top", "read", "digest", "leftovers", "put"],
)
def test_what_is_not_s3_is_said(page, call):
    with pytest.raises((StoreUnavailableError, StoreRefusedError), match=r"(not answer|and not) as S3") as failed:
        call(open_store("s3://models/zoo"))
    assert page in str(failed.value) and "AWS_ENDPOINT_URL" in failed.value.hint


@pytest.mark.parametrize(
    "command",
    [("zoo",), ("zoo", "fsck"), ("zoo", "show", "rd/parts/lid"), ("zoo", "copy", "s3://models/zoo", "here", "--all")],
    ids=lambda command: command[-1] if len(command) < 3 else command[1],
)
@pytest.mark.parametrize("page", ["200"], indirect=True)
def test_no_command_calls_it_empty_or_well(page, command, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("KDZOO_ZOO", "s3://models/zoo")
    monkeypatch.chdir(tmp_path)
    done = run(capsys, *command)
    assert done.status == 1 and "answers with a web page" in " ".join(done.err.split())


@pytest.mark.parametrize("page", ["200", "302 to a sign-in page"], indirect=True)
def test_nothing_is_loaded_from_it(page):
    import kdzoo

    with pytest.raises(RegistryError, match="answers with a web page"):
        kdzoo.load("rd", "parts/lid", zoo="s3://models/zoo")


@pytest.mark.parametrize("page", ["200"], indirect=True)
def test_the_doctor_and_mlflow_say_so(page, monkeypatch, capsys):
    (found, *_) = run_check("zoo", Asked(zoo="s3://models/zoo"))
    assert found.state == "fail" and "answers with a web page" in found.what
    monkeypatch.setenv("MLFLOW_TRACKING_URI", page)
    (found,) = run_check("mlflow", Asked())
    assert found.state == "fail" and "answers with a web page" in found.what and "MLFLOW_TRACKING_URI" in found.hint
    done = run(capsys, "leaderboard")
    assert done.status == 1 and "answers with a web page" in " ".join(done.err.split())


def test_the_servers_own_words_are_shown(s3, monkeypatch):
    monkeypatch.setattr(
        s3, "chaos", lambda environ, answer: error("403 Forbidden", "Quota", "the plan of\nacme is used")
    )
    with pytest.raises(StoreRefusedError, match="the plan of acme is used"):
        S3Store("models", "zoo", client=s3.client()).list("")
