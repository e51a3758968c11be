import json
import random
import time
from email.utils import formatdate

import pytest

from ganspace_topdis.runs.transfer import DownloadError, TransferLimits, shown_url, transfer

BODY = random.Random(0).randbytes(300_000)
FAST = {"backoff_s": 0, "connect_timeout_s": 2, "read_timeout_s": 2}
LIMITS = TransferLimits(**FAST)


def with_ranges(handler, body=BODY, etag='"v1"', drop_after=None):
    """Answer as a good server does; `drop_after` so many bytes the line breaks."""
    headers, start, status = {"ETag": etag}, 0, 200
    if "Range" in handler.headers and handler.headers["If-Range"] == etag:
        start, status = int(handler.headers["Range"].removeprefix("bytes=").removesuffix("-")), 206
        headers["Content_Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
    rest = body[start:]
    handler.reply(status, rest[:drop_after], **headers, Content_Length=len(rest))


@pytest.fixture
def part(tmp_path):
    return tmp_path / "unfinished"


def test_a_correct_server_delivers_the_file(server, part):
    server.answer = with_ranges
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == BODY
    assert server.requests[0]["Accept-Encoding"] == "identity"


def test_progress_counts_megabytes(server, part):
    server.answer = lambda handler: with_ranges(handler, bytes(5_000_000))
    seen = []
    transfer(server.url, part, limits=LIMITS, progress=lambda step, num_steps: seen.append((step, num_steps)))
    assert seen[-1] == (5, 5)
    assert seen == sorted(seen)


def test_a_broken_connection_is_resumed_with_a_range(server, part):
    server.answer = lambda handler: with_ranges(handler, drop_after=100_000)
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == BODY
    assert [request.get("Range") for request in server.requests] == [None, "bytes=100000-", "bytes=200000-"]
    assert server.requests[1]["If-Range"] == '"v1"'


def test_another_process_resumes_an_abandoned_download(server, part):
    server.answer = lambda handler: with_ranges(handler, drop_after=100_000)
    with pytest.raises(DownloadError, match="100000 bytes are kept and the same command resumes"):
        transfer(server.url, part, limits=TransferLimits(**FAST, num_tries=1))
    server.answer = with_ranges
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == BODY
    assert server.requests[-1]["Range"] == "bytes=100000-"


def test_two_versions_of_a_file_are_not_mixed(server, part):
    server.answer = lambda handler: with_ranges(handler, drop_after=100_000)
    with pytest.raises(DownloadError):
        transfer(server.url, part, limits=TransferLimits(**FAST, num_tries=1))
    other = BODY[::-1]
    server.answer = lambda handler: with_ranges(handler, other, etag='"v2"')
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == other


@pytest.mark.parametrize("tag", ['"v2"', '"v1"'])
def test_a_wrong_range_restarts_the_download(server, part, tag):
    server.answer = lambda handler: with_ranges(handler, drop_after=100_000)
    with pytest.raises(DownloadError):
        transfer(server.url, part, limits=TransferLimits(**FAST, num_tries=1))

    def answer(handler):
        if "Range" in handler.headers:
            start = 100_000 if tag == '"v2"' else 7
            handler.reply(206, BODY[start:], ETag=tag, Content_Range=f"bytes {start}-299999/300000")
        else:
            with_ranges(handler)

    server.answer = answer
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == BODY


def test_a_server_without_ranges_or_validators_starts_over(server, part):
    def answer(handler):
        handler.reply(200, BODY[: 100_000 if len(server.requests) < 3 else None], Content_Length=len(BODY))

    server.answer = answer
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == BODY
    assert all("Range" not in request for request in server.requests)


def test_an_unsatisfiable_range_restarts_the_download(server, part):
    server.answer = lambda handler: with_ranges(handler, drop_after=100_000)
    with pytest.raises(DownloadError):
        transfer(server.url, part, limits=TransferLimits(**FAST, num_tries=1))
    short = BODY[:50_000]
    server.answer = lambda handler: handler.reply(416) if "Range" in handler.headers else with_ranges(handler, short)
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == short


def test_a_complete_transfer_sends_no_request(server, part):
    server.answer = with_ranges
    transfer(server.url, part, limits=LIMITS)
    transfer(server.url, part, limits=LIMITS)
    assert len(server.requests) == 1


def test_a_response_shorter_than_declared_fails(server, part):
    server.answer = lambda handler: handler.reply(200, BODY, Content_Length=len(BODY) + 1)
    with pytest.raises(DownloadError, match="5 times in a row"):
        transfer(server.url, part, limits=LIMITS)
    assert len(server.requests) == 5


def test_a_response_longer_than_declared_is_cut_off(server, part):
    server.answer = lambda handler: handler.reply(200, BODY, Content_Length=1000)
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == BODY[:1000]


def test_a_file_over_the_limit_is_refused_before_it_is_read(server, part):
    server.answer = lambda handler: handler.reply(200, b"x", Content_Length=10_000_000_000)
    with pytest.raises(DownloadError, match="has 10000000000 bytes, allowed are 4000000000"):
        transfer(server.url, part, limits=LIMITS)
    assert not part.exists()


def test_an_endless_response_is_cut_off_at_the_limit_and_discarded(server, part):
    def answer(handler):
        handler.reply(200, Content_Length=None)
        while True:
            handler.wfile.write(BODY)

    server.answer = answer
    with pytest.raises(DownloadError, match="exceeds the limit of 5000000 bytes"):
        transfer(server.url, part, limits=TransferLimits(**FAST, max_bytes=5_000_000))
    assert part.stat().st_size == 0


def test_an_endless_chunked_response_is_cut_off(server, part):
    def answer(handler):
        handler.protocol_version = "HTTP/1.1"
        handler.reply(200, Content_Length=None, Transfer_Encoding="chunked")
        while True:
            handler.wfile.write(b"1000\r\n" + BODY[:4096] + b"\r\n")

    server.answer = answer
    with pytest.raises(DownloadError, match="exceeds the limit of"):
        transfer(server.url, part, limits=TransferLimits(**FAST, max_bytes=1_000_000))


def test_a_file_of_unknown_size_is_accepted(server, part):
    server.answer = lambda handler: handler.reply(200, BODY, Content_Length=None)
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == BODY


def test_a_rate_below_the_limit_fails(server, part):
    def answer(handler):
        handler.reply(200, Content_Length=1000)
        for _ in range(1000):
            handler.wfile.write(b"x")
            time.sleep(0.05)

    server.answer = answer
    limits = TransferLimits(**FAST, num_tries=1, rate_window_s=0.3)
    started_s = time.monotonic()
    with pytest.raises(DownloadError, match=r"only \d bytes were received in"):
        transfer(server.url, part, limits=limits)
    assert time.monotonic() - started_s < 3


def test_a_slow_rate_within_the_limit_is_accepted(server, part):
    def answer(handler):
        handler.reply(200, Content_Length=len(BODY))
        for start in range(0, len(BODY), 60_000):
            handler.wfile.write(BODY[start : start + 60_000])
            time.sleep(0.05)

    server.answer = answer
    transfer(server.url, part, limits=TransferLimits(**FAST, rate_window_s=0.1))
    assert part.read_bytes() == BODY


def test_a_silent_server_fails(server, part):
    def answer(handler):
        handler.reply(200, b"x", Content_Length=1000)
        time.sleep(2)

    server.answer = answer
    limits = TransferLimits(backoff_s=0, num_tries=2, read_timeout_s=0.2)
    with pytest.raises(DownloadError, match="2 times in a row"):
        transfer(server.url, part, limits=limits)


def test_a_refused_connection_raises_a_typed_error(server, part, monkeypatch):
    server.server_close()
    with pytest.raises(DownloadError, match="does not answer"):
        transfer(server.url, part, limits=TransferLimits(**FAST, num_tries=2))


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_client_error_is_final_and_names_its_status(server, part, status):
    server.answer = lambda handler: handler.reply(status, b"gone")
    with pytest.raises(DownloadError, match=f"answered {status}"):
        transfer(server.url, part, limits=LIMITS)
    assert len(server.requests) == 1
    assert not part.exists()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_error_is_retried(server, part, status):
    server.answer = lambda handler: handler.reply(status) if len(server.requests) < 3 else with_ranges(handler)
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == BODY


def redirect_to(server, location):
    server.answer = lambda handler: handler.reply(302, Location=location)


@pytest.mark.parametrize("location", ["http://example.com/net.pkl", "ftp://example.com/x", "file:///etc/passwd"])
def test_a_redirect_away_from_https_is_refused(server, part, location):
    redirect_to(server, location)
    with pytest.raises(DownloadError, match="is not https"):
        transfer(server.url, part, limits=LIMITS)


def test_an_allowed_redirect_is_followed(server, part):
    def answer(handler):
        if handler.path == "/new/place":
            with_ranges(handler)
        else:
            handler.reply(301, Location="/new/place")

    server.answer = answer
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == BODY


def test_circular_redirects_end(server, part):
    redirect_to(server, server.url)
    with pytest.raises(DownloadError, match="exceeds the limit of 5 redirects"):
        transfer(server.url, part, limits=LIMITS)
    assert len(server.requests) == LIMITS.max_redirects + 1


@pytest.mark.parametrize(
    "url", ["http://example.com/a.pkl", "ftp://example.com/a.pkl", "https:///", "https://[bad", "x"]
)
def test_an_address_without_https_is_refused_without_a_request(part, url):
    with pytest.raises(DownloadError):
        transfer(url, part, limits=LIMITS)


def test_a_password_in_the_address_is_neither_accepted_nor_shown(part):
    with pytest.raises(DownloadError) as caught:
        transfer("https://me:secret@example.com/a.pkl", part, limits=LIMITS)
    assert "secret" not in str(caught.value)


def test_a_query_is_not_shown():
    assert shown_url("https://example.com/a.pkl?token=secret#x") == "https://example.com/a.pkl"


def test_a_web_page_is_refused(server, part):
    server.answer = lambda handler: handler.reply(200, b"<html>sign in</html>", Content_Type="text/html; charset=utf-8")
    with pytest.raises(DownloadError, match="a web page, not a file"):
        transfer(server.url, part, limits=LIMITS)
    assert not part.exists()


def test_an_empty_file_is_refused(server, part):
    server.answer = lambda handler: handler.reply(200, b"")
    with pytest.raises(DownloadError, match="is empty"):
        transfer(server.url, part, limits=LIMITS)


def test_a_compressed_response_is_refused(server, part):
    server.answer = lambda handler: handler.reply(200, BODY, Content_Encoding="gzip")
    with pytest.raises(DownloadError, match="sent it compressed"):
        transfer(server.url, part, limits=LIMITS)


def test_a_full_disk_raises_a_typed_error_and_the_next_attempt_resumes(server, part, full_disk):
    server.answer = with_ranges
    with full_disk(100_000), pytest.raises(DownloadError, match="free some space"):
        transfer(server.url, part, limits=LIMITS)
    kept = part.stat().st_size
    assert 0 < kept <= 100_000
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == BODY
    assert server.requests[-1]["Range"] == f"bytes={kept}-"


def test_a_damaged_record_starts_over(server, part):
    part.write_bytes(b"junk")
    for memory in ("", "[]", json.dumps({"validator": 3}), json.dumps({"validator": "", "total": None})):
        part.with_name("unfinished.json").write_text(memory)
        server.answer = with_ranges
        transfer(server.url, part, limits=LIMITS)
        assert part.read_bytes() == BODY
        part.write_bytes(b"junk")


def test_the_proxy_in_the_environment_is_used(server, part, monkeypatch):
    server.answer = with_ranges
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("http_proxy", f"http://{server.host}")
    monkeypatch.setattr("ganspace_topdis.runs.transfer._PLAIN_HTTP_HOSTS", {"models.example"})
    transfer("http://models.example/net.pkl", part, limits=LIMITS)
    assert part.read_bytes() == BODY
    assert server.requests[0]["Host"] == "models.example"


def dated(handler, body=BODY, changed="Mon, 01 Jan 2024 00:00:00 GMT", drop_after=None):
    """Answer as a server without ETags does."""
    headers, start, status = {"Last_Modified": changed}, 0, 200
    if "Range" in handler.headers and handler.headers["If-Range"] == changed:
        start, status = int(handler.headers["Range"].removeprefix("bytes=").removesuffix("-")), 206
        headers["Content_Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
    handler.reply(status, body[start:][:drop_after], **headers, Content_Length=len(body) - start)


OTHER = BODY[::-1]


def begin(server, part, answer=lambda handler: with_ranges(handler, drop_after=100_000)):
    """A part of 100,000 bytes, as a process that gave up leaves it."""
    server.answer = answer
    with pytest.raises(DownloadError):
        transfer(server.url, part, limits=TransferLimits(**FAST, num_tries=1))
    assert part.stat().st_size == 100_000
    server.requests.clear()


def continued(handler, body=OTHER, **headers):
    """Answer every range with that of `body`, whatever If-Range says; all of `body` where none is asked for."""
    if "Range" not in handler.headers:
        handler.reply(200, body, ETag='"v2"')
        return
    start = int(handler.headers["Range"].removeprefix("bytes=").removesuffix("-"))
    headers = {"Content_Range": f"bytes {start}-{len(body) - 1}/{len(body)}", **headers}
    handler.reply(206, body[start:], **headers)


WRONG = {
    "no validator": {},
    "another tag": {"ETag": '"v2"'},
    "a weak tag": {"ETag": 'W/"v1"'},
    "only a date": {"Last_Modified": "Mon, 01 Jan 2024 00:00:00 GMT"},
    "another length": {"ETag": '"v1"', "Content_Range": "bytes 100000-299999/300001"},
    "an unknown length": {"ETag": '"v1"', "Content_Range": "bytes 100000-299999/*"},
    "another start": {"ETag": '"v1"', "Content_Range": "bytes 99999-299999/300000"},
    "a start of thousands of digits": {"ETag": '"v1"', "Content_Range": f"bytes {'9' * 5000}-299999/300000"},
    "no range": {"ETag": '"v1"', "Content_Range": None},
}


@pytest.mark.parametrize("headers", WRONG.values(), ids=WRONG.keys())
def test_a_range_of_a_possibly_different_file_is_not_used(server, part, headers):
    begin(server, part)
    server.answer = lambda handler: continued(handler, **headers)
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == OTHER
    assert [("Range" in request) for request in server.requests] == [True, False]


@pytest.mark.parametrize("length", [299_999, 300_001, 50_000])
def test_a_file_of_another_length_starts_over(server, part, length):
    begin(server, part)
    body = (OTHER * 2)[:length]
    server.answer = lambda handler: with_ranges(handler, body, etag='"v1"')
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == body


@pytest.mark.parametrize("etag", ['W/"v1"', "v1", None])
def test_without_a_strong_validator_every_attempt_starts_over(server, part, etag):
    begin(server, part, lambda handler: handler.reply(200, BODY[:100_000], ETag=etag, Content_Length=len(BODY)))
    server.answer = lambda handler: handler.reply(200, OTHER, ETag=etag)
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == OTHER
    assert "Range" not in server.requests[0]


def test_a_modification_date_in_the_past_is_a_validator(server, part):
    begin(server, part, lambda handler: dated(handler, drop_after=100_000))
    server.answer = dated
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == BODY
    assert server.requests[0]["If-Range"] == "Mon, 01 Jan 2024 00:00:00 GMT"
    assert server.requests[0]["Range"] == "bytes=100000-"


def test_a_modification_date_within_the_same_second_is_not_a_validator(server, part):
    now = formatdate(time.time() + 5, usegmt=True)
    begin(server, part, lambda handler: dated(handler, changed=now, drop_after=100_000))
    server.answer = lambda handler: dated(handler, OTHER, changed=now)
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == OTHER
    assert "Range" not in server.requests[0]


def test_a_server_that_ignores_the_range_starts_over(server, part):
    begin(server, part)
    server.answer = lambda handler: handler.reply(200, BODY, ETag='"v1"')
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == BODY
    assert len(server.requests) == 1


def test_bytes_from_another_redirect_target_are_not_used(server, part):
    def redirected(place, body, drop_after=None):
        def answer(handler):
            if handler.path == place:
                with_ranges(handler, body, drop_after=drop_after)
            else:
                handler.reply(302, Location=place)

        return answer

    begin(server, part, redirected("/mirror1", BODY, 100_000))
    server.answer = redirected("/mirror2", OTHER)
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == OTHER


def test_the_query_of_a_signed_address_may_change(server, part):
    def answer(handler):
        if handler.path.startswith("/signed"):
            with_ranges(handler, drop_after=100_000)
        else:
            handler.reply(302, Location=f"/signed?token={len(server.requests)}")

    server.answer = answer
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == BODY
    assert [request.get("Range") for request in server.requests][-1] == "bytes=200000-"


def test_a_compressed_range_is_refused_and_the_earlier_bytes_are_kept(server, part):
    begin(server, part)
    server.answer = lambda handler: continued(handler, BODY, ETag='"v1"', Content_Encoding="gzip")
    with pytest.raises(DownloadError, match="sent it compressed"):
        transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == BODY[:100_000]


def test_a_kill_between_record_and_bytes_mixes_nothing(server, part, monkeypatch):
    begin(server, part)
    server.answer = lambda handler: with_ranges(handler, OTHER, etag='"v2"')

    class KilledError(BaseException):
        pass

    def killed(path, *arguments):
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(type(part), "open", killed)
        with pytest.raises(KilledError):
            transfer(server.url, part, limits=LIMITS)
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == OTHER


MEMORIES = [
    "[" * 100_000,
    json.dumps({"validator": 3, "total": 300_000, "source": ""}),
    json.dumps({"validator": '"v1"\r\nX: y', "total": 300_000, "source": ""}),
    json.dumps({"validator": '"v1"', "total": "300000", "source": ""}),
    json.dumps({"validator": '"v1"', "total": True, "source": ""}),
    json.dumps({"validator": '"v1"', "total": 300_000, "source": 1}),
    json.dumps({"validator": '"v1"', "total": 300_000}),
]


@pytest.mark.parametrize("memory", MEMORIES)
def test_a_record_of_wrong_types_starts_over(server, part, memory):
    part.write_bytes(b"junk")
    part.with_name("unfinished.json").write_text(memory)
    server.answer = with_ranges
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == BODY
    assert "Range" not in server.requests[0]


def test_a_length_of_thousands_of_digits_is_ignored(server, part):
    server.answer = lambda handler: handler.reply(200, BODY, Content_Length="9" * 5000)
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == BODY
