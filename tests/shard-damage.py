#!/usr/bin/env python3
"""Damages stored shards of a running cluster on disk and looks at what readers see.

    tests/shard-damage.py STRONGROOM [FOLDER]

For each kind of damage (a flipped bit, zeros, another record in its place, a cut file): two nodes' shards of one
chunk are damaged and the copy must be identical and name both nodes; a third is damaged and the copy must fail
with a clear error and leave no file. Real processes and disks; about half a minute.
"""

import glob
import json
import os
import struct
import subprocess
import sys
import tempfile

RECORD = b"SRrecord"
BLOCK = 4096
HEADER = 192


class Cluster:
    def __init__(self, binary, folder):
        self.binary, self.folder = binary, folder
        self.dir = os.path.join(folder, "cluster")
        self.environment = {**os.environ, "STRONGROOM_CONTEXT": os.path.join(self.dir, "context.toml")}

    def run(self, *words, identity=None, fails=False):
        words = [self.binary, *(["--as", identity] if identity else []), *words]
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, check=False)
        if (done.returncode != 0) != fails:
            sys.exit(f"{words} ended with {done.returncode}: {done.stderr}")
        return done

    def ask(self, *words, identity=None):
        return json.loads(self.run(*words, "--output", "json", identity=identity).stdout)

    def ingest(self, name, size):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(os.urandom(size))
        times = ["--recorded-start", "2026-11-01T09:00:00", "--recorded-end", "2026-11-01T09:05:00"]
        return path, self.ask("ingest", path, "--device", "D1", "--unit", "U1", *times)[0]["item"]

    def copy_out(self, item, to, fails=False):
        words = ["request", "submit", "--act", "copy", "--item", item, "--reason", "damage"]
        request = self.ask(*words, identity="legal")["request"]
        self.run("request", "approve", request, identity="approver")
        return self.run("copy-out", request, "--to", to, identity="archivist", fails=fails)


class Shard:
    """A record of a segment file: where its header and payload are."""

    def __init__(self, path, offset, header):
        self.path, self.offset, self.header = path, offset, header
        self.node = path.split("/nodes/")[1].split("/")[0]
        self.slot = header[11]
        self.length = struct.unpack(">I", header[112:116])[0]
        self.size = -(-(HEADER + self.length) // BLOCK) * BLOCK
        self.payload = offset + self.size - self.length

    def write(self, position, data):
        with open(self.path, "r+b") as file:
            file.seek(position)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def read(self, position, length):
        with open(self.path, "rb") as file:
            file.seek(position)
            return file.read(length)


def shards_of(cluster, item):
    found = []
    for path in sorted(glob.glob(os.path.join(cluster.dir, "nodes/*/disk0/segments/*.seg"))):
        with open(path, "rb") as file:
            offset = BLOCK
            while True:
                file.seek(offset)
                header = file.read(HEADER)
                if len(header) < HEADER or header[:8] != RECORD:
                    break
                shard = Shard(path, offset, header)
                if header[10] == 1 and header[16:32].hex() == item:
                    found.append(shard)
                offset += shard.size
    return sorted(found, key=lambda shard: shard.slot)


def flip(_cluster, shard, _other):
    byte = shard.read(shard.payload + 1000, 1)[0]
    shard.write(shard.payload + 1000, bytes([byte ^ 1]))


def zero(_cluster, shard, _other):
    shard.write(shard.payload, bytes(shard.length))


def swap(cluster, shard, other):
    """Puts the same node's whole record of another item in its place."""
    donor = next(record for record in shards_of(cluster, other) if record.path == shard.path)
    assert donor.size == shard.size
    shard.write(shard.offset, donor.read(donor.offset, donor.size))


def truncate(_cluster, shard, _other):
    os.truncate(shard.path, shard.payload + shard.length // 2)


def check(cluster, kind):
    _, other = cluster.ingest(f"other-{kind.__name__}", 4 << 20)
    path, item = cluster.ingest(f"file-{kind.__name__}", 4 << 20)
    shards = shards_of(cluster, item)
    assert len(shards) == 6, f"{len(shards)} shards of {item}"
    for shard in shards[:2]:
        kind(cluster, shard, other)
    folder = os.path.join(cluster.folder, f"two-{kind.__name__}")
    cluster.copy_out(item, folder)
    copies = [name for name in glob.glob(folder + "/*" + os.path.basename(path))]
    with open(path, "rb") as one, open(copies[0], "rb") as two:
        assert one.read() == two.read(), f"{kind.__name__}: the copy differs"
    named = {bad["node"] for bad in cluster.ask("cluster", "status")["bad_shards"] if bad["item"] == item}
    assert named == {shard.node for shard in shards[:2]}, f"{kind.__name__}: named {named}"
    kind(cluster, shards[2], other)
    folder = os.path.join(cluster.folder, f"three-{kind.__name__}")
    failed = cluster.copy_out(item, folder, fails=True)
    left = [name for name in glob.glob(folder + "/*") if name.endswith(os.path.basename(path))]
    assert not left, f"{kind.__name__}: a file was left: {left}"
    assert "cannot be read now" in failed.stderr, failed.stderr
    print(f"{kind.__name__}: two bad shards read around and named ({', '.join(sorted(named))}); three: refused")


def main():
    with tempfile.TemporaryDirectory() as scratch:
        cluster = Cluster(os.path.abspath(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else scratch)
        cluster.run("dev", "up", "--dir", cluster.dir)
        try:
            for kind in (flip, zero, swap, truncate):
                check(cluster, kind)
        finally:
            cluster.run("dev", "down", "--dir", cluster.dir)


if __name__ == "__main__":
    main()
