"""Loads 3,000,000 keys while another client sends GETs, and prints the longest wait of that client and the 99th percentile.

Usage: growth.py OURS_PORT REDIS_PORT
"""
import socket
import subprocess
import sys
import time


def longest_wait(port):
    """The longest wait and the 99th percentile, in milliseconds. Empties the server afterwards."""
    load = subprocess.Popen(
        f"seq -f 'SET growing:%012.0f value:0123456789' 3000000 | redis-cli -p {port} --pipe",
        shell=True,
        stdout=subprocess.DEVNULL,
    )
    probe = socket.create_connection(("127.0.0.1", port))
    probe.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    waits = []
    while load.poll() is None:
        began = time.perf_counter()
        probe.sendall(b"*2\r\n$3\r\nGET\r\n$1\r\nx\r\n")
        probe.recv(100)
        waits.append(time.perf_counter() - began)
        time.sleep(0.0005)
    waits.sort()
    probe.sendall(b"*1\r\n$8\r\nFLUSHALL\r\n")
    probe.recv(100)
    return waits[-1] * 1000, waits[len(waits) * 99 // 100] * 1000


print("| while 3,000,000 keys come in | longest wait of another client, ms | 99th percentile, ms |")
print("|---|---|---|")
for name, port in (("ours", int(sys.argv[1])), ("redis", int(sys.argv[2]))):
    longest, p99 = longest_wait(port)
    print(f"| {name} | {longest:.1f} | {p99:.1f} |")
