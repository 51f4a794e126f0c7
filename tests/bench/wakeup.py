"""Measures how fast an XADD wakes a reader that blocks in XREAD BLOCK: the time from sending XADD to the reader's reply.

The servers take turns. Usage: wakeup.py OURS_PORT REDIS_PORT
"""
import socket
import sys
import time

ROUNDS = 4000


def connect(port):
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def request(*words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


ports = {"ours": int(sys.argv[1]), "redis": int(sys.argv[2])}
readers = {name: connect(port) for name, port in ports.items()}
writers = {name: connect(port) for name, port in ports.items()}
waits = {name: [] for name in ports}
for n in range(1, ROUNDS + 1):
    for name in ports:
        readers[name].sendall(request(b"XREAD", b"BLOCK", b"0", b"STREAMS", b"wake", b"%d-0" % (n - 1)))
        time.sleep(0.0003)
        add = request(b"XADD", b"wake", b"MAXLEN", b"~", b"1000", b"%d-0" % n, b"f", b"v")
        began = time.perf_counter()
        writers[name].sendall(add)
        readers[name].recv(1000)
        waits[name].append(time.perf_counter() - began)
        writers[name].recv(1000)
print("| from XADD to the reply of XREAD BLOCK | p50, \u00b5s | p99, \u00b5s |")
print("|---|---|---|")
for name, times in waits.items():
    times.sort()
    print(f"| {name} | {times[ROUNDS // 2] * 1e6:.0f} | {times[ROUNDS * 99 // 100] * 1e6:.0f} |")
