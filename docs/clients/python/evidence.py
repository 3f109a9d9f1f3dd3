#!/usr/bin/env python3
"""A small client of Strongroom in another language: sends an original, asks for it, approves, receives it.

docs/clients/python.md says how to make the generated code that is imported here and how to run this.

What any client must do, and this one does:
- keep the idempotency key of a call until the call is answered, and repeat the call with the same key at another node;
- send an upload from where the node says, and never assume more than the committed bytes;
- believe a receipt or a copy only after comparing digests with bytes of its own;
- sync a receipt or a copy, and the folder that it is in, before saying that it is there;
- sign what it decides, with the key of its own certificate: a node that passes a decision on is not believed about whose it is.

What this one leaves out: it keeps the keys in memory, so an upload does not survive the client. `strongroom ingest` writes
them to a file, durably, before its first call.
"""

import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import sys
import time
import uuid

import grpc
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from strongroom.access.v1 import access_service_pb2 as access
from strongroom.access.v1 import access_service_pb2_grpc as access_grpc
from strongroom.ingest.v1 import ingest_service_pb2 as ingest
from strongroom.ingest.v1 import ingest_service_pb2_grpc as ingest_grpc
from strongroom.request.v1 import request_service_pb2 as request
from strongroom.request.v1 import request_service_pb2_grpc as request_grpc

PIECE_BYTES = 1 << 20
PATIENCE_S = 60
# Another node, or the same one a little later, may answer these. Everything else is an answer.
TRY_AGAIN = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED}
REFUSED = {grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.FAILED_PRECONDITION}


class Cluster:
    """Channels to all nodes, and calls that go on at the next node where one does not answer."""

    def __init__(self, arguments):
        files = (arguments.ca, arguments.key, arguments.certificate)
        self.credentials = grpc.ssl_channel_credentials(*(pathlib.Path(path).read_bytes() for path in files))
        self.endpoints = arguments.endpoint
        self.channels = {}

    def channel(self, turn):
        endpoint = self.endpoints[turn % len(self.endpoints)]
        if endpoint not in self.channels:
            self.channels[endpoint] = grpc.secure_channel(endpoint, self.credentials)
        return self.channels[endpoint]

    def call(self, attempt):
        """Calls `attempt(channel)` at one node after the other until one answers or patience ends."""
        deadline = time.monotonic() + PATIENCE_S
        turn = 0
        while True:
            try:
                return attempt(self.channel(turn))
            except grpc.RpcError as error:
                if error.code() not in TRY_AGAIN or time.monotonic() > deadline:
                    raise
                turn += 1
                time.sleep(min(0.1 * turn, 2.0))


def new_key():
    return uuid.uuid4().hex


def sha256_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


class Cut(Exception):
    """This program was told to break its own stream, to show that it resumes."""


def upload(channel, item_id, path, cut_after, sent):
    """Sends what is not committed yet; returns when everything is durable."""
    offset = None

    def messages():
        yield ingest.UploadRequest(header=ingest.UploadHeader(item_id=item_id))
        # The first answer says where to go on; until then nothing is sent.
        while offset is None:
            time.sleep(0.01)
        with open(path, "rb") as file:
            position = offset
            file.seek(position)
            while piece := file.read(PIECE_BYTES):
                yield ingest.UploadRequest(data=ingest.UploadData(offset_bytes=position, data=piece))
                position += len(piece)
                sent["bytes"] += len(piece)
                if cut_after is not None and sent["bytes"] >= cut_after:
                    stream.cancel()
                    return

    stream = ingest_grpc.IngestServiceStub(channel).Upload(messages())
    try:
        for answer in stream:
            part = answer.WhichOneof("part")
            if part == "accepted":
                offset = answer.accepted.offset_bytes
                sent["from"].append(offset)
            elif part == "received":
                return answer.received
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.CANCELLED and cut_after is not None:
            raise Cut from error
        raise
    raise RuntimeError("the stream ended before everything was received")


def put_in_place(draft, path):
    """Gives a synced file its name, for good: without the folder's sync a power cut may take the name back."""
    draft.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def do_ingest(cluster, arguments):
    path = arguments.file
    digest = sha256_of(path)
    size = os.path.getsize(path)
    now = int(time.time() * 1000)
    opening = ingest.OpenUploadRequest(
        idempotency_key=new_key(),
        original=ingest.OriginalDescription(
            device_id=arguments.device,
            unit_id=arguments.unit,
            file_name=os.path.basename(path),
            recorded_start_unix_ms=now - 60_000,
            recorded_end_unix_ms=now,
        ),
        size_bytes=size,
    )
    opened = cluster.call(lambda channel: ingest_grpc.IngestServiceStub(channel).OpenUpload(opening))
    sent = {"bytes": 0, "from": []}
    if not opened.sealed:
        cut_after = arguments.break_after
        while True:
            try:
                received = cluster.call(lambda channel: upload(channel, opened.item_id, path, cut_after, sent))
                break
            except Cut:
                cut_after = None
                # Another node takes the upload over.
                cluster.endpoints = cluster.endpoints[1:] + cluster.endpoints[:1]
        if received.sha256 != digest or received.size_bytes != size:
            raise RuntimeError("the cluster received other bytes than the file has")
    sealing = ingest.SealRequest(
        idempotency_key=new_key(), item_id=opened.item_id, size_bytes=size, sha256=digest
    )
    sealed = cluster.call(lambda channel: ingest_grpc.IngestServiceStub(channel).Seal(sealing))
    receipt = sealed.receipt
    asking = ingest.FetchReceiptRequest(item_id=opened.item_id)
    deadline = time.monotonic() + PATIENCE_S
    while not receipt:
        # Sealed, but its checkpoint is not cosigned yet.
        if time.monotonic() > deadline:
            raise RuntimeError("the item is sealed; its receipt is still pending: ask for it again later")
        time.sleep(0.1)
        receipt = cluster.call(lambda channel: ingest_grpc.IngestServiceStub(channel).FetchReceipt(asking)).receipt
    kept = pathlib.Path(f"{path}.receipt")
    draft = kept.with_name(kept.name + ".new")
    with open(draft, "wb") as file:
        file.write(receipt)
        file.flush()
        os.fsync(file.fileno())
    put_in_place(draft, kept)
    return {
        "item": opened.item_id.hex(),
        "sha256": digest.hex(),
        "record": sealed.record_seq,
        "receipt": f"{path}.receipt",
        "sent_bytes": sent["bytes"],
        "sent_from": sent["from"],
    }


def do_submit(cluster, arguments):
    submission = request.SubmitRequestRequest(
        idempotency_key=new_key(),
        act=request.ACT_COPY,
        item_ids=[bytes.fromhex(item) for item in arguments.item],
        fields={"reason": arguments.reason},
    )
    answer = cluster.call(lambda channel: request_grpc.RequestServiceStub(channel).SubmitRequest(submission))
    return {"request": answer.request.request_id, "missing": list(answer.request.missing)}


def assent(key_file, cluster_id, key, act, lines):
    """The metadata of a call that decides: the time, then a signature over the assent, plain text that names decision and call."""
    now = int(time.time() * 1000)
    text = ["strongroom assent v1", f"cluster {cluster_id}", f"key {key}", f"time {now}", f"act {act}"]
    text += [f"{name} {value}".replace("\r", " ").replace("\n", " ") for name, value in lines]
    print("you sign:", *text, sep="\n  ", file=sys.stderr)
    signer = serialization.load_pem_private_key(pathlib.Path(key_file).read_bytes(), password=None)
    # P-256 with SHA-256, as `strongroom pki` makes keys; P-384 goes with SHA-384, and Ed25519 names no hash.
    signature = signer.sign("".join(line + "\n" for line in text).encode(), ec.ECDSA(hashes.SHA256()))
    return (("strongroom-assent-bin", now.to_bytes(8, "big", signed=True) + signature),)


def do_approve(cluster, arguments):
    asking = request.ShowRequestRequest(request_id=arguments.request)
    shown = cluster.call(lambda channel: request_grpc.RequestServiceStub(channel).ShowRequest(asking)).request
    asks_for = request.Act.Name(shown.act).removeprefix("ACT_").lower()
    lines = [("request", shown.request_id), ("requester", shown.requester), ("asks-for", asks_for)]
    lines += [("item", item.hex()) for item in shown.item_ids]
    lines += [("field", f"{name} {value}") for name, value in sorted(shown.fields.items())]
    approval = request.ApproveRequestRequest(idempotency_key=new_key(), request_id=shown.request_id)
    metadata = assent(arguments.key, arguments.cluster, approval.idempotency_key, "request.approve", lines)
    answer = cluster.call(
        lambda channel: request_grpc.RequestServiceStub(channel).ApproveRequest(approval, metadata=metadata)
    )
    return {"request": answer.request.request_id, "missing": list(answer.request.missing)}


def receive(cluster, session, item, folder):
    """Writes one original; nothing has its final name before its digest was compared."""
    path = folder / pathlib.Path(item.file_name).name
    draft = path.with_name(path.name + ".part")
    digest = hashlib.sha256()
    written = 0

    def read_on(channel):
        nonlocal written
        asking = access.ReadRequest(session_id=session, item_id=item.item_id, offset_bytes=written)
        for answer in access_grpc.AccessServiceStub(channel).Read(asking):
            if answer.offset_bytes != written:
                raise RuntimeError("the bytes do not follow those before")
            file.write(answer.data)
            digest.update(answer.data)
            written += len(answer.data)

    with open(draft, "wb") as file:
        while written < item.size_bytes:
            before = written
            cluster.call(read_on)
            if written == before:
                raise RuntimeError("the copy is shorter than the original")
        file.flush()
        os.fsync(file.fileno())
    if digest.digest() != item.sha256:
        draft.unlink()
        raise RuntimeError("the copy is not the original")
    put_in_place(draft, path)
    return str(path)


def do_receive(cluster, arguments):
    folder = pathlib.Path(arguments.to)
    folder.mkdir(parents=True, exist_ok=True)
    beginning = access.BeginCopyOutRequest(idempotency_key=new_key(), request_id=arguments.request)
    begun = cluster.call(lambda channel: access_grpc.AccessServiceStub(channel).BeginCopyOut(beginning))
    complete = False
    try:
        files = [receive(cluster, begun.session_id, item, folder) for item in begun.items]
        complete = True
    finally:
        ending = access.EndSessionRequest(
            idempotency_key=new_key(), session_id=begun.session_id, complete=complete
        )
        cluster.call(lambda channel: access_grpc.AccessServiceStub(channel).EndSession(ending))
    return {"files": files, "record": begun.record_seq}


def explain(error):
    """What a refusal says: stable reason, rule, remedy (google.rpc.ErrorInfo)."""
    told = {"code": error.code().name, "message": error.details()}
    with contextlib.suppress(ValueError):
        status = rpc_status.from_call(error)
        for detail in status.details if status else ():
            info = error_details_pb2.ErrorInfo()
            if detail.Is(info.DESCRIPTOR):
                detail.Unpack(info)
                told.update(reason=info.reason, **info.metadata)
    return told


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--endpoint", action="append", required=True, help="host:port of a node; say it again for each")
    parser.add_argument("--ca", required=True, help="certificate of the client authority")
    parser.add_argument("--certificate", required=True, help="who you are")
    parser.add_argument("--key", required=True, help="its private key")
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("ingest", help="send an original and keep its receipt")
    command.add_argument("file")
    command.add_argument("--device", required=True)
    command.add_argument("--unit", required=True)
    command.add_argument("--break-after", type=int, metavar="BYTES", help="break the stream once, to see it resume")
    command.set_defaults(run=do_ingest)
    command = commands.add_parser("submit", help="ask for a copy")
    command.add_argument("item", nargs="+")
    command.add_argument("--reason", required=True)
    command.set_defaults(run=do_submit)
    command = commands.add_parser("approve", help="approve a request, signed with your certificate's key")
    command.add_argument("request")
    command.add_argument("--cluster", required=True, metavar="ID", help="the cluster's id, as your context names it")
    command.set_defaults(run=do_approve)
    command = commands.add_parser("receive", help="receive what an approved request grants")
    command.add_argument("request")
    command.add_argument("--to", required=True, metavar="DIR")
    command.set_defaults(run=do_receive)
    arguments = parser.parse_args()
    try:
        print(json.dumps(arguments.run(Cluster(arguments), arguments)))
    except grpc.RpcError as error:
        print(json.dumps(explain(error), ensure_ascii=False), file=sys.stderr)
        sys.exit(3 if error.code() in REFUSED else 1)


if __name__ == "__main__":
    main()
