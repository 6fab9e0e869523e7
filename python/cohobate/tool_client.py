"""The command for tools: passes one call from its standard input to the program that has the function, and prints the result.

It is started for each call, without the package, so it loads nothing but what it needs.
"""

import json
import os
import socket
import sys

WAIT_S = 58.0


def main() -> None:
    """Reads one line of JSON, and prints one."""
    call = json.loads(sys.stdin.readline())
    body = json.dumps({"model": sys.argv[1], **call}).encode()
    host, _, port = os.environ["COHOBATE_CALLER"].rpartition("/")[2].partition(":")
    head = (
        f"POST /tool HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {os.environ['COHOBATE_CALLER_KEY']}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=WAIT_S) as connection:
        connection.sendall(head.encode() + body)
        reply = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    first, _, text = reply.partition(b"\r\n\r\n")
    if first.split(b" ")[1:2] not in ([b"200"], [b"422"]):
        # The function has said nothing: the command tries again.
        raise SystemExit(1)
    found = json.loads(text)
    if "content" not in found:
        found = {"error": found["error"]["message"]}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
