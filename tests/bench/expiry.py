"""Fills a server with keys that expire, and prints the waits of another client meanwhile, the part of a core that the
expiry takes, and how long expired keys stay.

Usage: expiry.py OURS_PORT OURS_PID REDIS_PORT REDIS_PID [KEYS] [TTL_SECONDS]

The keys expire at the speed at which they came in, because all have the same TTL. The client sends GET and SET in turn, so
it needs the read lock and the write lock of our server. The part of a core is the CPU time of the cron's thread for
ours. Redis has one thread for everything; its figure is `expire_cycle_cpu_milliseconds` of INFO.

The waits before any key expires are the noise of this machine.
"""
import multiprocessing
import os
import socket
import subprocess
import sys
import time

GET = b"*2\r\n$3\r\nGET\r\n$1\r\nx\r\n"
SET = b"*3\r\n$3\r\nSET\r\n$1\r\ny\r\n$1\r\n1\r\n"


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request):
        self.socket.sendall(request)
        return self.socket.recv(65536)

    def keys(self):
        """How many keys there are, except the client's own."""
        return int(self.ask(b"*1\r\n$6\r\nDBSIZE\r\n")[1:]) - 1

    def info(self, name):
        text = self.ask(b"*2\r\n$4\r\nINFO\r\n$5\r\nstats\r\n").decode()
        return int(text.split(f"{name}:")[1].split()[0])


def cron_seconds(pid):
    """The CPU time of the thread `cron`, or None if there is no such thread."""
    for task in os.listdir(f"/proc/{pid}/task"):
        name, fields = open(f"/proc/{pid}/task/{task}/stat").read().split("(", 1)[1].rsplit(")", 1)
        if name == "cron":
            fields = fields.split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return None


def probe(port, pipe):
    """Sends requests until something comes through the pipe, and sends the waits back, in milliseconds. It is a process of
    its own, because the threads of one Python process hold each other up."""
    client, waits = Client(port), []
    while not waits or not pipe.poll():
        began = time.perf_counter()
        client.ask(SET if len(waits) % 2 else GET)
        waits.append((time.perf_counter() - began) * 1000)
        time.sleep(0.0003)
    pipe.send(sorted(waits))


def measure(port, watch):
    """Asks `watch` twenty times per second, and runs the probe until the answer is no. Returns the sorted waits."""
    pipe, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=probe, args=(port, theirs))
    process.start()
    while watch():
        time.sleep(0.05)
    pipe.send("stop")
    waits = pipe.recv()
    process.join()
    return waits


def fill(client, port, keys, ttl):
    """Sends the keys. Returns how many had come at which moments: the keys that are gone later expired in this order."""
    came = []
    load = subprocess.Popen(
        f"seq -f 'SET key:%012.0f value:0123456789 PX {ttl * 1000}' {keys} | redis-cli -p {port} --pipe",
        shell=True,
        stdout=subprocess.DEVNULL,
    )
    while load.poll() is None:
        came.append((time.time(), client.keys()))
        time.sleep(0.05)
    return came + [(time.time(), keys)]


class Expiry:
    """Watches the keys go."""

    def __init__(self, client, pid, came, ttl):
        self.client, self.pid, self.came, self.ttl = client, pid, came, ttl
        self.began, self.used = time.time(), self.cpu()
        self.seconds = [(self.began, self.used)]  # once per second: when, and the CPU time until then
        self.lag = 0  # for how long an expired key was there, at most

    def cpu(self):
        seconds = cron_seconds(self.pid)
        return seconds if seconds is not None else self.client.info("expire_cycle_cpu_milliseconds") / 1000

    def goes_on(self):
        now, left, total = time.time(), self.client.keys(), self.came[-1][1]
        if left > 0:
            # The first key that is still there came before this moment.
            before = next(when for when, n in self.came if n > total - left)
            self.lag = max(self.lag, now - before - self.ttl)
        if left == 0 or now >= self.seconds[-1][0] + 1:
            self.seconds.append((now, self.cpu()))
        return left > 0 and now < self.came[-1][0] + self.ttl + 120

    def shares(self):
        """The mean part of a core, and that of the worst second."""
        (began, first), (end, last) = self.seconds[0], self.seconds[-1]
        pairs = list(zip(self.seconds, self.seconds[1:]))
        whole = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairs if b[0] - a[0] >= 1]
        return (last - first) / (end - began), max(whole, default=0)


def longest(waits):
    return f"{waits[-1]:.2f} | {waits[len(waits) * 999 // 1000]:.2f}"


def run(name, port, pid, keys, ttl):
    client = Client(port)
    client.ask(SET)
    came = fill(client, port, keys, ttl)
    first, last = came[0][0] + ttl, came[-1][0] + ttl
    if last - ttl > first - 1:
        sys.exit(f"{name}: the keys came in too slowly for this TTL")
    until = min(first - 0.5, time.time() + 5)
    before = measure(port, lambda: time.time() < until)
    time.sleep(max(0, first - time.time()))
    expiry = Expiry(client, pid, came, ttl)
    meanwhile = measure(port, expiry.goes_on)
    mean, worst = expiry.shares()
    print(
        f"| {name} | {longest(before)} | {longest(meanwhile)} | {mean:.2f} | {worst:.2f}"
        f" | {expiry.lag:.1f} | {time.time() - last:.1f} |",
        flush=True,
    )


keys = int(sys.argv[5]) if len(sys.argv) > 5 else 2_000_000
ttl = int(sys.argv[6]) if len(sys.argv) > 6 else 10
print(
    f"| {keys:,} keys expire after {ttl} s | wait before, ms: longest | 99.9 % | wait meanwhile: longest | 99.9 %"
    " | part of a core: mean | worst second | an expired key stays, s | the last one, s |"
)
print("|---|---|---|---|---|---|---|---|---|")
for name, port, pid in (("ours", sys.argv[1], sys.argv[2]), ("redis", sys.argv[3], sys.argv[4])):
    run(name, int(port), int(pid), keys, ttl)
