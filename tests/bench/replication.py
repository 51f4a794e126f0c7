#!/usr/bin/env python3
"""Measures replication of this server and of the real redis-server. All servers of a measurement are of one kind.

    tests/bench/replication.py target/release/redis-clone

Measures the throughput of a primary with 0, 1 and 3 replicas, the time of a full copy and the longest wait of a writer
during the copy, the delay of a replica under load, and the time of WAIT. Prints a table. Only the ratios within one run are
meaningful.
"""

import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

KEYS = 1_000_000


class Client:
    """A connection to a server."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def ask(self, *words):
        words = [str(word).encode() for word in words]
        parts = [b"*%d\r\n" % len(words)] + [b"$%d\r\n%s\r\n" % (len(w), w) for w in words]
        self.socket.sendall(b"".join(parts))
        line = self.file.readline()
        if line.startswith(b"$") and line != b"$-1\r\n":
            return self.file.read(int(line[1:]) + 2)[:-2].decode()
        return line[1:].strip().decode()

    def info(self, field):
        for line in self.ask("INFO", "everything").splitlines():
            if line.startswith(field + ":"):
                return line.split(":", 1)[1]
        return None


class Kind:
    """One of the two programs, and its running servers."""

    def __init__(self, name, command):
        self.name, self.command, self.servers, self.folders = name, command, [], []

    def start(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = self.command + ["--port", str(port), "--save", "", "--repl-diskless-sync-delay", "0"]
        log = subprocess.DEVNULL
        # Each server has a directory of its own: a replica leaves a file, which another server would load.
        folder = tempfile.mkdtemp()
        self.folders.append(folder)
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
        self.servers.append(server)
        for _ in range(100):
            try:
                client = Client(port)
                break
            except OSError:
                time.sleep(0.05)
        client.ask("CONFIG", "SET", "client-output-buffer-limit", "replica 0 0 0")
        return port

    def stop(self):
        for server in self.servers:
            server.kill()
            server.wait()
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)
        self.servers, self.folders = [], []


def follow(replica, primary):
    """Makes a server a replica. Returns the seconds until the link is up."""
    client = Client(replica)
    began = time.time()
    client.ask("REPLICAOF", "127.0.0.1", primary)
    while client.info("master_link_status") != "up":
        time.sleep(0.005)
    return time.time() - began


def catch_up(replica, primary):
    """Waits until the replica is at the offset of the primary."""
    replica, primary = Client(replica), Client(primary)
    while replica.info("slave_repl_offset") != primary.info("master_repl_offset"):
        time.sleep(0.01)


def throughput(port, clients, pipeline, requests):
    """SET commands per second, measured by redis-benchmark."""
    command = ["redis-benchmark", "-p", str(port), "-c", str(clients), "-P", str(pipeline), "-n", str(requests)]
    command += ["-r", "100000", "--csv", "SET", "key:__rand_int__", "value:0123456789"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(text.strip().splitlines()[-1].split('","')[1].rstrip('"'))


def fill(port):
    """Sets KEYS keys."""
    client = Client(port)
    reader = threading.Thread(target=lambda: [client.file.readline() for _ in range(KEYS)])
    reader.start()
    for base in range(0, KEYS, 10_000):
        lines = (b"SET key:%d value:0123456789:%d\r\n" % (i, i) for i in range(base, base + 10_000))
        client.socket.sendall(b"".join(lines))
    reader.join()


def percentile(figures, share):
    """The figure at this share of the sorted figures, for example 0.99."""
    return sorted(figures)[min(len(figures) - 1, int(len(figures) * share))]


def waits(port, count=3000):
    """The time of each WAIT after a write, in microseconds."""
    client, figures = Client(port), []
    for i in range(count):
        client.ask("SET", "waited", i)
        began = time.perf_counter()
        client.ask("WAIT", 1, 1000)
        figures.append((time.perf_counter() - began) * 1e6)
    return figures


def lags(primary, replica, stop):
    """The time from a write at the primary until a read at the replica sees it, in milliseconds. Measures until `stop`."""
    writer, reader, figures, n = Client(primary), Client(replica), [], 0
    while not stop.is_set():
        n += 1
        began = time.perf_counter()
        writer.ask("SET", "marker", n)
        while reader.ask("GET", "marker") != str(n):
            pass
        figures.append((time.perf_counter() - began) * 1e3)
        time.sleep(0.01)
    return figures


def stalls(port, stop, figures):
    """Writes until `stop`, and appends the time of each write in milliseconds to `figures`."""
    client, i = Client(port), 0
    while not stop.is_set():
        i += 1
        began = time.perf_counter()
        client.ask("SET", f"key:{i % KEYS}", "changed")
        figures.append((time.perf_counter() - began) * 1e3)


def measure(kind):
    """All measurements of one program: pairs of a name and a figure."""
    rows = []
    primary, replicas = kind.start(), []
    for wanted in (0, 1, 3):
        while len(replicas) < wanted:
            replicas.append(kind.start())
            follow(replicas[-1], primary)
        for clients, pipeline, requests in ((50, 1, 150_000), (50, 16, 1_500_000)):
            rate = statistics.median(throughput(primary, clients, pipeline, requests) for _ in range(3))
            rows.append((f"SET, {clients} x {pipeline}, {wanted} replicas: a second", rate))
            for replica in replicas:
                catch_up(replica, primary)
        if wanted == 1:
            figures = waits(primary)
            rows.append(("WAIT 1: p50, µs", percentile(figures, 0.5)))
            rows.append(("WAIT 1: p99, µs", percentile(figures, 0.99)))
            stop = threading.Event()
            load = threading.Thread(target=lambda: (throughput(primary, 20, 16, 2_000_000), stop.set()))
            load.start()
            figures = lags(primary, replicas[0], stop)
            load.join()
            rows.append(("a write seen at the replica, under load: p50, ms", percentile(figures, 0.5)))
            rows.append(("the same: p99, ms", percentile(figures, 0.99)))
    kind.stop()
    primary, replica = kind.start(), kind.start()
    fill(primary)
    seconds = statistics.median(copy(primary, replica) for _ in range(3))
    rows.append((f"full copy of {KEYS:,} keys: s", seconds))
    stop, figures = threading.Event(), []
    writers = [threading.Thread(target=stalls, args=(primary, stop, figures)) for _ in range(2)]
    for writer in writers:
        writer.start()
    time.sleep(0.2)
    copy(primary, replica)
    stop.set()
    for writer in writers:
        writer.join()
    rows.append(("longest wait of a writer during a copy, ms", max(figures)))
    kind.stop()
    return rows


def copy(primary, replica):
    """Makes the replica lose its data and follow again. Returns the seconds that the full copy takes."""
    Client(replica).ask("REPLICAOF", "NO", "ONE")
    Client(replica).ask("CONFIG", "SET", "repl-backlog-size", "16384")
    Client(replica).ask("FLUSHALL")
    # The primary's backlog no longer holds what the replica has missed, so a partial resync is impossible.
    Client(primary).ask("SET", "far", "x" * 2_000_000)
    return follow(replica, primary)


def main():
    kinds = [Kind("ours", [os.path.abspath(sys.argv[1])]), Kind("redis", ["redis-server"])]
    try:
        ours, real = [measure(kind) for kind in kinds]
    finally:
        for kind in kinds:
            kind.stop()
    print("\n| replication | ours | redis | ours/redis |\n|---|---|---|---|")
    for (name, mine), (_, theirs) in zip(ours, real):
        digits = 0 if mine > 100 else 2
        print(f"| {name} | {mine:.{digits}f} | {theirs:.{digits}f} | {mine / theirs:.2f} |")


main()
