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


def test_a_good_server_gives_the_file(server, part):
    server.answer = with_ranges
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == BODY
    assert server.requests[0]["Accept-Encoding"] == "identity"


def test_progress_counts_megabytes_up_to_the_size(server, part):
    server.answer = lambda handler: with_ranges(handler, bytes(5_000_000))
    seen = []
    transfer(server.url, part, limits=LIMITS, progress=lambda step, num_steps: seen.append((step, num_steps)))
    assert seen[-1] == (5, 5)
    assert seen == sorted(seen)


def test_a_line_that_drops_half_way_is_gone_on_with_by_range(server, part):
    server.answer = lambda handler: with_ranges(handler, drop_after=100_000)
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == BODY
    assert [request.get("Range") for request in server.requests] == [None, "bytes=100000-", "bytes=200000-"]
    assert server.requests[1]["If-Range"] == '"v1"'


def test_another_process_goes_on_where_the_first_gave_up(server, part):
    server.answer = lambda handler: with_ranges(handler, drop_after=100_000)
    with pytest.raises(DownloadError, match="100000 bytes are kept and the same command resumes"):
        transfer(server.url, part, limits=TransferLimits(**FAST, num_tries=1))
    server.answer = with_ranges
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == BODY
    assert server.requests[-1]["Range"] == "bytes=100000-"


def test_a_file_that_changed_meanwhile_is_not_mixed_with_the_old_one(server, part):
    server.answer = lambda handler: with_ranges(handler, drop_after=100_000)
    with pytest.raises(DownloadError):
        transfer(server.url, part, limits=TransferLimits(**FAST, num_tries=1))
    other = BODY[::-1]
    server.answer = lambda handler: with_ranges(handler, other, etag='"v2"')
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == other


@pytest.mark.parametrize("tag", ['"v2"', '"v1"'])
def test_a_server_that_ignores_if_range_or_sends_another_range_is_asked_from_the_start(server, part, tag):
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


def test_a_server_without_ranges_or_versions_starts_over(server, part):
    def answer(handler):
        handler.reply(200, BODY[: 100_000 if len(server.requests) < 3 else None], Content_Length=len(BODY))

    server.answer = answer
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == BODY
    assert all("Range" not in request for request in server.requests)


def test_a_server_that_no_longer_knows_the_range_is_asked_from_the_start(server, part):
    server.answer = lambda handler: with_ranges(handler, drop_after=100_000)
    with pytest.raises(DownloadError):
        transfer(server.url, part, limits=TransferLimits(**FAST, num_tries=1))
    short = BODY[:50_000]
    server.answer = lambda handler: handler.reply(416) if "Range" in handler.headers else with_ranges(handler, short)
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == short


def test_a_finished_transfer_asks_no_server(server, part):
    server.answer = with_ranges
    transfer(server.url, part, limits=LIMITS)
    transfer(server.url, part, limits=LIMITS)
    assert len(server.requests) == 1


def test_a_server_that_lies_about_the_length_is_given_up(server, part):
    server.answer = lambda handler: handler.reply(200, BODY, Content_Length=len(BODY) + 1)
    with pytest.raises(DownloadError, match="5 times in a row"):
        transfer(server.url, part, limits=LIMITS)
    assert len(server.requests) == 5


def test_a_server_that_sends_more_than_it_says_is_cut_off(server, part):
    server.answer = lambda handler: handler.reply(200, BODY, Content_Length=1000)
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == BODY[:1000]


def test_a_file_over_the_cap_is_refused_before_a_byte_of_it_is_read(server, part):
    server.answer = lambda handler: handler.reply(200, b"x", Content_Length=10_000_000_000)
    with pytest.raises(DownloadError, match="has 10000000000 bytes, allowed are 4000000000"):
        transfer(server.url, part, limits=LIMITS)
    assert not part.exists()


def test_a_server_that_never_ends_is_cut_off_at_the_cap_and_nothing_is_kept(server, part):
    def answer(handler):
        handler.reply(200, Content_Length=None)
        while True:
            handler.wfile.write(BODY)

    server.answer = answer
    with pytest.raises(DownloadError, match="exceeds the limit of 5000000 bytes"):
        transfer(server.url, part, limits=TransferLimits(**FAST, max_bytes=5_000_000))
    assert part.stat().st_size == 0


def test_a_server_that_never_ends_its_chunks_is_cut_off_too(server, part):
    def answer(handler):
        handler.protocol_version = "HTTP/1.1"
        handler.reply(200, Content_Length=None, Transfer_Encoding="chunked")
        while True:
            handler.wfile.write(b"1000\r\n" + BODY[:4096] + b"\r\n")

    server.answer = answer
    with pytest.raises(DownloadError, match="exceeds the limit of"):
        transfer(server.url, part, limits=TransferLimits(**FAST, max_bytes=1_000_000))


def test_a_file_of_untold_size_is_taken(server, part):
    server.answer = lambda handler: handler.reply(200, BODY, Content_Length=None)
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == BODY


def test_a_trickle_is_as_good_as_silence(server, part):
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


def test_a_slow_but_steady_server_is_waited_for(server, part):
    def answer(handler):
        handler.reply(200, Content_Length=len(BODY))
        for start in range(0, len(BODY), 60_000):
            handler.wfile.write(BODY[start : start + 60_000])
            time.sleep(0.05)

    server.answer = answer
    transfer(server.url, part, limits=TransferLimits(**FAST, rate_window_s=0.1))
    assert part.read_bytes() == BODY


def test_a_server_that_falls_silent_is_given_up(server, part):
    def answer(handler):
        handler.reply(200, b"x", Content_Length=1000)
        time.sleep(2)

    server.answer = answer
    limits = TransferLimits(backoff_s=0, num_tries=2, read_timeout_s=0.2)
    with pytest.raises(DownloadError, match="2 times in a row"):
        transfer(server.url, part, limits=limits)


def test_nobody_at_the_address_is_one_clear_error(server, part, monkeypatch):
    server.server_close()
    with pytest.raises(DownloadError, match="does not answer"):
        transfer(server.url, part, limits=TransferLimits(**FAST, num_tries=2))


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_is_final_and_says_its_number(server, part, status):
    server.answer = lambda handler: handler.reply(status, b"gone")
    with pytest.raises(DownloadError, match=f"answered {status}"):
        transfer(server.url, part, limits=LIMITS)
    assert len(server.requests) == 1
    assert not part.exists()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_in_trouble_is_asked_again(server, part, status):
    server.answer = lambda handler: handler.reply(status) if len(server.requests) < 3 else with_ranges(handler)
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == BODY


def redirect_to(server, location):
    server.answer = lambda handler: handler.reply(302, Location=location)


@pytest.mark.parametrize("location", ["http://example.com/net.pkl", "ftp://example.com/x", "file:///etc/passwd"])
def test_a_redirection_away_from_https_is_refused(server, part, location):
    redirect_to(server, location)
    with pytest.raises(DownloadError, match="is not https"):
        transfer(server.url, part, limits=LIMITS)


def test_a_redirection_that_is_allowed_is_followed(server, part):
    def answer(handler):
        if handler.path == "/new/place":
            with_ranges(handler)
        else:
            handler.reply(301, Location="/new/place")

    server.answer = answer
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == BODY


def test_redirections_in_a_circle_end(server, part):
    redirect_to(server, server.url)
    with pytest.raises(DownloadError, match="exceeds the limit of 5 redirects"):
        transfer(server.url, part, limits=LIMITS)
    assert len(server.requests) == LIMITS.max_redirects + 1


@pytest.mark.parametrize(
    "url", ["http://example.com/a.pkl", "ftp://example.com/a.pkl", "https:///", "https://[bad", "x"]
)
def test_an_address_that_is_not_https_is_refused_without_asking_anybody(part, url):
    with pytest.raises(DownloadError):
        transfer(url, part, limits=LIMITS)


def test_a_password_in_the_address_is_neither_taken_nor_shown(part):
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


def test_a_packed_answer_is_refused(server, part):
    server.answer = lambda handler: handler.reply(200, BODY, Content_Encoding="gzip")
    with pytest.raises(DownloadError, match="sent it compressed"):
        transfer(server.url, part, limits=LIMITS)


def test_a_full_disk_is_one_clear_error_and_the_next_try_goes_on(server, part, full_disk):
    server.answer = with_ranges
    with full_disk(100_000), pytest.raises(DownloadError, match="free some space"):
        transfer(server.url, part, limits=LIMITS)
    kept = part.stat().st_size
    assert 0 < kept <= 100_000
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == BODY
    assert server.requests[-1]["Range"] == f"bytes={kept}-"


def test_a_damaged_memory_of_the_last_try_starts_over(server, part):
    part.write_bytes(b"junk")
    for memory in ("", "[]", json.dumps({"validator": 3}), json.dumps({"validator": "", "total": None})):
        part.with_name("unfinished.json").write_text(memory)
        server.answer = with_ranges
        transfer(server.url, part, limits=LIMITS)
        assert part.read_bytes() == BODY
        part.write_bytes(b"junk")


def test_the_proxy_of_the_environment_is_used(server, part, monkeypatch):
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
def test_a_range_that_may_be_of_another_file_is_not_used(server, part, headers):
    begin(server, part)
    server.answer = lambda handler: continued(handler, **headers)
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == OTHER
    assert [("Range" in request) for request in server.requests] == [True, False]


@pytest.mark.parametrize("length", [299_999, 300_001, 50_000])
def test_a_file_of_another_length_is_taken_from_the_start(server, part, length):
    begin(server, part)
    body = (OTHER * 2)[:length]
    server.answer = lambda handler: with_ranges(handler, body, etag='"v1"')
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == body


@pytest.mark.parametrize("etag", ['W/"v1"', "v1", None])
def test_without_a_strong_validator_every_try_is_from_the_start(server, part, etag):
    begin(server, part, lambda handler: handler.reply(200, BODY[:100_000], ETag=etag, Content_Length=len(BODY)))
    server.answer = lambda handler: handler.reply(200, OTHER, ETag=etag)
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == OTHER
    assert "Range" not in server.requests[0]


def test_a_date_of_the_last_change_is_a_validator_once_it_has_passed(server, part):
    begin(server, part, lambda handler: dated(handler, drop_after=100_000))
    server.answer = dated
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == BODY
    assert server.requests[0]["If-Range"] == "Mon, 01 Jan 2024 00:00:00 GMT"
    assert server.requests[0]["Range"] == "bytes=100000-"


def test_a_date_of_this_very_second_is_no_validator(server, part):
    now = formatdate(time.time() + 5, usegmt=True)
    begin(server, part, lambda handler: dated(handler, changed=now, drop_after=100_000))
    server.answer = lambda handler: dated(handler, OTHER, changed=now)
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == OTHER
    assert "Range" not in server.requests[0]


def test_a_server_that_ignores_the_range_is_taken_from_the_start(server, part):
    begin(server, part)
    server.answer = lambda handler: handler.reply(200, BODY, ETag='"v1"')
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == BODY
    assert len(server.requests) == 1


def test_a_part_of_the_place_that_an_address_led_to_before_is_not_used_for_another(server, part):
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


def test_a_signed_address_may_change_its_query(server, part):
    def answer(handler):
        if handler.path.startswith("/signed"):
            with_ranges(handler, drop_after=100_000)
        else:
            handler.reply(302, Location=f"/signed?token={len(server.requests)}")

    server.answer = answer
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == BODY
    assert [request.get("Range") for request in server.requests][-1] == "bytes=200000-"


def test_a_packed_continuation_is_refused_and_the_part_is_kept(server, part):
    begin(server, part)
    server.answer = lambda handler: continued(handler, BODY, ETag='"v1"', Content_Encoding="gzip")
    with pytest.raises(DownloadError, match="sent it compressed"):
        transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == BODY[:100_000]


def test_a_kill_between_the_memory_and_the_bytes_mixes_nothing(server, part, monkeypatch):
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
def test_a_memory_of_wrong_types_starts_over(server, part, memory):
    part.write_bytes(b"junk")
    part.with_name("unfinished.json").write_text(memory)
    server.answer = with_ranges
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == BODY
    assert "Range" not in server.requests[0]


def test_a_length_of_thousands_of_digits_is_no_length(server, part):
    server.answer = lambda handler: handler.reply(200, BODY, Content_Length="9" * 5000)
    transfer(server.url, part, limits=LIMITS)
    assert part.read_bytes() == BODY
