"""Fetching over a real connection: dropped, lied to, refused, redirected, gone on with."""

import io
import json
import socket
from email.message import Message
from urllib.error import HTTPError
from urllib.request import Request

import pytest
from helpers.archives import Recorder
from helpers.file_server import Fault

from kdzoo.data.download.fetch import FetchPolicy, fetch, forget
from kdzoo.data.download.http import Redirects
from kdzoo.errors import DownloadError, StorageError

BODY = bytes(range(256)) * 40
QUICK = {"first_wait_s": 0.0, "timeout_s": 5.0}


pytestmark = pytest.mark.usefixtures("no_proxy")


@pytest.fixture
def part(tmp_path):
    return tmp_path / "parts.tar.part"


def get(web, part, *, watcher=None, announced=None, **policy):
    url = web.give("parts.tar", BODY) if "/parts.tar" not in web.files else f"{web.url}/parts.tar"
    return fetch(url, part, policy=FetchPolicy(**QUICK | policy), watcher=watcher or Recorder(), announced=announced)


def leave_part(web, part, size):
    """Leaves what a run that was killed after ``size`` bytes would."""
    web.faults.append(Fault(send=size))
    with pytest.raises(DownloadError):
        get(web, part, attempts=1, first_attempts=1)
    assert part.read_bytes() == BODY[:size]
    web.requests.clear()


def test_a_file_arrives(web, part):
    watcher, announced = Recorder(), []
    assert get(web, part, watcher=watcher, announced=announced.append) == len(BODY)
    assert part.read_bytes() == BODY
    assert watcher.stages == [("Downloading", len(BODY))]
    assert watcher.sizes[0] == 0
    assert watcher.sizes[-1] == len(BODY)
    assert announced == [len(BODY)]
    headers = web.requests[0][1]
    assert headers["user-agent"].startswith("kdzoo/")
    assert headers["accept-encoding"] == "identity"


def test_a_dropped_connection_is_gone_on_with(web, part):
    web.faults += [Fault(send=1000), Fault(send=2000), Fault(hang_up=True)]
    watcher = Recorder()
    assert get(web, part, watcher=watcher) == len(BODY)
    assert part.read_bytes() == BODY
    assert web.asked_ranges() == ["", "bytes=1000-", "bytes=3000-", "bytes=3000-"]
    assert [note.partition(";")[0] for note in watcher.notes[:2]] == [
        f"the connection ended after {size} of {len(BODY)} bytes" for size in (1000, 3000)
    ]
    assert len(watcher.notes) == 3


def test_a_later_run_goes_on_and_asks_for_the_same_version(web, part):
    leave_part(web, part, 4000)
    announced = []
    assert get(web, part, announced=announced.append) == len(BODY)
    assert part.read_bytes() == BODY
    assert announced == [len(BODY) - 4000]
    (_, headers), *more = web.requests
    assert headers["range"] == "bytes=4000-"
    assert headers["if-range"].startswith('"')
    assert not more


def test_another_version_by_now_begins_anew(web, part):
    leave_part(web, part, 4000)
    web.files["/parts.tar"] = BODY[::-1]
    assert get(web, part) == len(BODY)
    assert part.read_bytes() == BODY[::-1]


def test_a_server_without_ranges_begins_anew(web, part):
    leave_part(web, part, 4000)
    web.ranges = False
    assert get(web, part) == len(BODY)
    assert part.read_bytes() == BODY


def test_a_server_without_etags_or_lengths(web, part):
    web.etags = web.lengths = False
    assert get(web, part) == len(BODY)
    assert part.read_bytes() == BODY
    assert json.loads(part.with_name("parts.tar.part.json").read_text())["total"] is None


def test_a_weak_etag_is_not_compared(web, part):
    web.faults.append(Fault(send=100, headers={"ETag": 'W/"weak"', "Last-Modified": "Tue, 01 Jan 2030 00:00:00 GMT"}))
    get(web, part)
    assert web.requests[1][1]["if-range"] == "Tue, 01 Jan 2030 00:00:00 GMT"
    assert part.read_bytes() == BODY


def test_a_range_that_starts_elsewhere_is_not_taken(web, part):
    leave_part(web, part, 4000)
    web.faults.append(Fault(shift=7))
    assert get(web, part) == len(BODY)
    assert part.read_bytes() == BODY


def test_a_whole_part_needs_no_byte_more(web, part):
    leave_part(web, part, len(BODY) - 1)
    part.write_bytes(BODY)
    assert get(web, part) == len(BODY)
    assert web.asked_ranges() == [f"bytes={len(BODY)}-"]


def test_a_part_longer_than_the_file_begins_anew(web, part):
    leave_part(web, part, 10)
    part.write_bytes(BODY + b"more")
    assert get(web, part) == len(BODY)
    assert part.read_bytes() == BODY


@pytest.mark.parametrize(
    "known", ["", "{", "[1]", '{"url": "http://elsewhere", "etag": "", "modified": "", "total": 1}']
)
def test_a_part_of_which_nothing_is_known_is_not_gone_on_with(web, part, known):
    leave_part(web, part, 4000)
    beside = part.with_name("parts.tar.part.json")
    beside.write_text(known) if known else beside.unlink()
    assert get(web, part) == len(BODY)
    assert web.asked_ranges() == [""]
    assert part.read_bytes() == BODY


@pytest.mark.parametrize("status", [400, 401, 403, 404, 407, 410, 451])
def test_a_refusal_is_final(web, part, status):
    web.faults.append(Fault(status=status))
    with pytest.raises(DownloadError, match=f"cannot fetch http://.*/parts.tar: the server answers {status}"):
        get(web, part)
    assert len(web.requests) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_passing_refusal_is_tried_again(web, part, status):
    web.faults.append(Fault(status=status, times=2))
    watcher = Recorder()
    assert get(web, part, watcher=watcher) == len(BODY)
    assert [str(status) in note for note in watcher.notes] == [True, True]


def test_a_server_that_stays_away_ends_in_an_error(web, part):
    web.faults.append(Fault(status=503, times=99))
    with pytest.raises(DownloadError, match=r"503 .*\(4 tries\)"):
        get(web, part, attempts=4)
    assert len(web.requests) == 4


def test_waits_double_up_to_a_limit_and_follow_the_server(web, part, monkeypatch):
    waits = []
    monkeypatch.setattr("kdzoo.data.download.fetch.time.sleep", waits.append)
    web.faults += [Fault(status=503, times=4), Fault(status=429, headers={"Retry-After": "7"})]
    web.faults.append(Fault(status=429, headers={"Retry-After": "99999"}))
    get(web, part, first_wait_s=1.0, longest_wait_s=5.0)
    assert waits == [1.0, 2.0, 4.0, 5.0, 5.0, 5.0]


def test_a_body_shorter_than_promised_for_ever(web, part):
    web.faults.append(Fault(times=99, headers={"Content-Length": str(len(BODY) + 50)}))
    web.ranges = False
    with pytest.raises(DownloadError, match=rf"ended after {len(BODY)} of {len(BODY) + 50} bytes \(3 tries\)"):
        get(web, part, attempts=3)


def test_a_server_that_once_promised_too_much(web, part):
    web.faults.append(Fault(headers={"Content-Length": str(len(BODY) + 50)}))
    assert get(web, part) == len(BODY)
    assert part.read_bytes() == BODY
    assert web.asked_ranges() == ["", f"bytes={len(BODY)}-"]


def test_a_body_longer_than_promised_is_cut_where_promised(web, part):
    web.faults.append(Fault(add=b"more"))
    assert get(web, part) == len(BODY)
    assert part.read_bytes() == BODY


def test_a_body_without_end_is_stopped(web, part):
    web.lengths = False
    with pytest.raises(DownloadError, match="sends more than it announced"):
        get(web, part, largest=5000)
    assert part.stat().st_size <= 5000


def test_an_announcement_beyond_all_measure_is_refused(web, part):
    with pytest.raises(DownloadError, match=f"announced as {len(BODY)} bytes"):
        get(web, part, largest=5000)
    assert not part.exists()


def test_what_the_caller_has_no_room_for_is_not_begun(web, part):
    def no_room(coming):
        raise StorageError(f"no room for {coming}")

    with pytest.raises(StorageError, match=f"no room for {len(BODY)}"):
        get(web, part, announced=no_room)
    assert not part.exists()


def test_a_web_page_is_not_an_archive(web, part):
    web.faults.append(Fault(headers={"Content-Type": "text/html; charset=utf-8"}))
    with pytest.raises(DownloadError, match="web page"):
        get(web, part)


def test_a_redirect_is_followed_with_the_range(web, part):
    web.give("there.tar", BODY)
    leave_part(web, part, 500)
    web.faults += [Fault(status=302, headers={"Location": "/there.tar"})]
    assert get(web, part) == len(BODY)
    assert part.read_bytes() == BODY
    assert [path for path, _ in web.requests] == ["/parts.tar", "/there.tar"]
    assert web.asked_ranges() == ["bytes=500-", "bytes=500-"]


@pytest.mark.parametrize("where", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_a_redirect_to_a_file_is_not_followed(web, part, where):
    web.faults.append(Fault(status=302, headers={"Location": where}))
    with pytest.raises(DownloadError, match="302"):
        get(web, part)


@pytest.mark.parametrize("where", ["http://host/x", "ftp://host/x"])
def test_a_redirect_to_where_others_can_listen_is_not_followed(where):
    with pytest.raises(HTTPError, match="302"):
        Redirects().redirect_request(Request("https://host/x"), io.BytesIO(), 302, "Found", Message(), where)


def test_a_redirect_in_a_circle_ends(web, part):
    web.faults.append(Fault(status=302, times=99, headers={"Location": "/parts.tar"}))
    with pytest.raises(DownloadError, match="302"):
        get(web, part)


def test_nobody_listens(part):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/parts.tar"
    with pytest.raises(DownloadError, match=r"refused \(127.0.0.1\) \(3 tries\)"):
        fetch(url, part, policy=FetchPolicy(**QUICK), watcher=Recorder())


def test_an_unknown_host_is_called_so(part):
    with pytest.raises(DownloadError, match=r"no network, or no such host: nowhere\.invalid"):
        fetch("https://nowhere.invalid/x.tar", part, policy=FetchPolicy(**QUICK), watcher=Recorder())


def test_a_proxy_is_used_and_its_password_never_shown(web, part, monkeypatch):
    monkeypatch.setenv("http_proxy", web.url.replace("//", "//user:geheim@"))
    web.files["http://nowhere.invalid/parts.tar"] = BODY
    url = "http://nowhere.invalid/parts.tar"
    assert fetch(url, part, policy=FetchPolicy(**QUICK), watcher=Recorder()) == len(BODY)
    forget(part)
    web.faults.append(Fault(hang_up=True, times=9))
    with pytest.raises(DownloadError, match="through the proxy in http_proxy") as raised:
        fetch(url, part, policy=FetchPolicy(**QUICK), watcher=Recorder())
    assert "geheim" not in str(raised.value)


def test_a_proxy_that_refuses_is_final(web, part, monkeypatch):
    monkeypatch.setenv("https_proxy", web.url)
    with pytest.raises(DownloadError, match=r"Tunnel connection failed: [45]"):
        fetch("https://nowhere.invalid/x", part, policy=FetchPolicy(**QUICK), watcher=Recorder())


def test_a_server_that_goes_silent_is_given_up(part):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/parts.tar"
        with pytest.raises(DownloadError, match="no answer in time"):
            fetch(url, part, policy=FetchPolicy(**QUICK | {"timeout_s": 0.1}), watcher=Recorder())


def test_a_folder_that_takes_nothing(web, tmp_path):
    with pytest.raises(StorageError, match=r"cannot write .*parts.tar.part"):
        get(web, tmp_path / "missing" / "parts.tar.part")


def test_the_number_of_tries_begins_again_with_each_megabyte(web, part):
    content = bytes(3_500_000)
    url = web.give("large.tar", content)
    web.faults += [Fault(send=1_100_000), Fault(send=1_100_000), Fault(send=1_100_000)]
    policy = FetchPolicy(**QUICK, attempts=2, first_attempts=2)
    assert fetch(url, part, policy=policy, watcher=Recorder()) == len(content)
    assert len(web.requests) == 4


def test_a_server_without_ranges_that_always_drops_ends(web, part):
    content = bytes(3_000_000)
    url = web.give("large.tar", content)
    web.ranges = False
    web.faults.append(Fault(send=2_000_000, times=99))
    with pytest.raises(DownloadError, match=r"\(3 tries\)"):
        fetch(url, part, policy=FetchPolicy(**QUICK, attempts=3), watcher=Recorder())


@pytest.mark.parametrize("bad", [{"attempts": 0}, {"timeout_s": 0}, {"first_wait_s": -1}, {"largest": 0}])
def test_a_policy_that_cannot_be(bad):
    with pytest.raises(ValueError, match="must"):
        FetchPolicy(**bad)
