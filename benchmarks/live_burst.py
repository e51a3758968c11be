"""How the live page's server handles a burst of requests, with half-open connections beside them.

    python benchmarks/live_burst.py                     # 1,000 requests, 300 half-open connections
    python benchmarks/live_burst.py --requests 200 --half-open 0

The server runs in its own process, on the packaged generator. A quarter of the requests ask for the page, a
quarter for an image (each of a page of its own, so that none makes another stale), a quarter change a name, and a
quarter cannot be understood. All are sent at the same time, each on its own connection; the half-open
connections have sent half a request line before. Exits with 1 if a request is not answered as it should be.
"""

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from ganspace_topdis.latent.directions import Directions
from stylegan2 import load
from stylegan2.commands.explore import open_server
from stylegan2.loading import LoadedRun
from stylegan2.ops.weight_cache import frozen_weights
from stylegan2.settings import PictureSettings
from stylegan2.space import LatentSpace
from stylegan2.zoo import locate

BAD_VALUES = ("NaN", "1e400", "1" + "0" * 400, "9" * 5000, "[" * 50_000, '"\\ud800"')
KINDS = {"page": 200, "image": 200, "name": 200, "bad": 400}


def serve(folder: Path) -> None:
    """Serve the packaged generator until stdin ends; print the address."""
    space = LatentSpace(generator=load(locate("scenes"), torch.device("cpu")), name="w")
    axes = torch.eye(8, space.code_dim)
    directions = Directions(
        vectors=axes, dual_vectors=axes, mean=torch.zeros(space.code_dim), span=axes, scales=torch.ones(8)
    )
    found = LoadedRun(folder=folder, directions=directions, space=space)
    with frozen_weights(), open_server(found, PictureSettings()) as server:
        print(server.url, flush=True)
        server.serve_forever(poll_interval=0.1)


def question(kind: str, place: int, host: str) -> bytes:
    """The bytes of a request."""
    if kind == "page":
        return f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    state = json.dumps({"seed": place, "shifts": {"0": 1.5}})
    psi = BAD_VALUES[place % len(BAD_VALUES)] if kind == "bad" else "0.7"
    body = (
        json.dumps({"index": place % 8, "name": f"name {place}", "starred": False})
        if kind == "name"
        else f'{{"page": "{place}", "channel": "view", "number": 1, "psi": {psi}, "layers": null, "states": [{state}]}}'
    )
    path = "/names" if kind == "name" else "/frames"
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


async def ask(kind: str, place: int, host: str) -> tuple[str, str, float]:
    """Kind, status (or what went wrong) and seconds of one request."""
    name, _, port = host.partition(":")
    start_s = time.monotonic()
    try:
        reader, writer = await asyncio.open_connection(name, int(port))
        writer.write(question(kind, place, host))
        answer = await reader.read()
        head, _, body = answer.partition(b"\r\n\r\n")
        status = head.split(b" ")[1].decode() if answer else "nothing"
        if f"content-length: {len(body)}".encode() not in head.lower():
            status += " cut short"
        writer.close()
    except OSError as error:
        status = type(error).__name__
    return kind, status, time.monotonic() - start_s


async def burst(host: str, num_requests: int, num_half_open: int) -> list[tuple[str, str, float]]:
    """Send everything at once; wait until every request is answered or has failed."""
    name, _, port = host.partition(":")
    half_open = [await asyncio.open_connection(name, int(port)) for _ in range(num_half_open)]
    for _, writer in half_open:
        writer.write(b"GET / HT")
    kinds = list(KINDS)
    done = await asyncio.gather(*(ask(kinds[place % len(kinds)], place, host) for place in range(num_requests)))
    for _, writer in half_open:
        writer.close()
    return list(done)


def report(done: list[tuple[str, str, float]]) -> bool:
    """Print a table, and return whether every request was answered as it should be."""
    print("| requests | number | answered | median | 95% | worst |\n|---|---|---|---|---|---|")
    for kind, status in KINDS.items():
        seconds = sorted(each[2] for each in done if each[0] == kind)
        well = sum(each[0] == kind and each[1] == str(status) for each in done)
        late = statistics.quantiles(seconds, n=20)[-1]
        print(
            f"| {kind} | {len(seconds)} | {well} with {status} | {statistics.median(seconds):.2f} s | {late:.2f} s "
            f"| {seconds[-1]:.2f} s |"
        )
    wrong = [each for each in done if each[1] != str(KINDS[each[0]])]
    for kind, status, seconds_taken in wrong[:10]:
        print(f"{kind}: {status} after {seconds_taken:.2f} s", file=sys.stderr)
    return not wrong


def memory_mb(pid: int) -> float:
    """The peak memory of the process `pid`, MB (Linux)."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM:"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--half-open", type=int, default=300)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        serve(options.serve)
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = options.requests + options.half_open + 100
    if soft != resource.RLIM_INFINITY and soft < wanted:  # of this process alone: every connection is an open file
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--serve", folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            host = urlsplit(process.stdout.readline().strip()).netloc
            asyncio.run(burst(host, 8, 0))  # the first image builds what later ones find built
            before_mb = memory_mb(process.pid)
            well = report(asyncio.run(burst(host, options.requests, options.half_open)))
            print(f"memory of the server: {before_mb:.0f} MB before, {memory_mb(process.pid):.0f} MB at most")
            process.terminate()
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
