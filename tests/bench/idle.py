"""Opens many connections and sends one command on each. Then, while they are idle, prints the resident memory per connection
and the time of a PING.

Usage: idle.py PORT PID CONNECTIONS, where PID is the process of the server.
"""
import resource
import socket
import sys
import time

port, pid, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 200), hard))


def resident():
    """The resident memory of the server in bytes."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) * 1024


def ask(sock, request):
    sock.sendall(request)
    return sock.recv(1000)


before = resident()
began = time.perf_counter()
clients = []
for i in range(count - 10):
    sock = socket.create_connection(("127.0.0.1", port))
    assert ask(sock, b"*3\r\n$3\r\nSET\r\n$5\r\nidle%d\r\n$1\r\nv\r\n" % (i % 10)) == b"+OK\r\n"
    clients.append(sock)
seconds = time.perf_counter() - began
time.sleep(3)
each = (resident() - before) / len(clients)
waits = []
for sock in clients[::50]:
    began = time.perf_counter()
    assert ask(sock, b"*1\r\n$4\r\nPING\r\n") == b"+PONG\r\n"
    waits.append(time.perf_counter() - began)
print(f"{len(clients)} idle connections: {each / 1024:.1f} KB of resident memory each; opened in {seconds:.1f} s;")
print(f"a PING among them takes {sorted(waits)[len(waits) // 2] * 1e6:.0f} µs (median)")
