"""A learner's code that finds its own end of the wire, and writes to it what it likes."""

from __future__ import annotations

SOCKET = """
import gc, json, socket, struct

def own_socket():
    sockets = [o for o in gc.get_objects() if isinstance(o, socket.socket) and o.fileno() >= 0]
    return sockets[0]

def frame(tree, *buffers, sizes=None):
    header = json.dumps([tree, [len(b) for b in buffers] if sizes is None else sizes]).encode()
    return struct.pack("!IQ", len(header), sum(map(len, buffers))) + header + b"".join(buffers)

def answer(number, value=42):
    return frame(["d", [["number", number], ["value", value]]])

def call_number():
    # The number of the request that is being carried out, from our own code's frames.
    import sys
    at = sys._getframe()
    while at:
        if "number" in at.f_locals and "request" in at.f_locals:
            return at.f_locals["number"]
        at = at.f_back
"""
