"""Check HCCL's rank table and tell which ranks run on which devices of this server.

    python scripts/check_rank_table.py TABLE DEVICE_NUM [SERVER_ID]

Prints a line "RANK_ID DEVICE_ID" for every device of the server, in the order of the ranks. SERVER_ID is needed
where the table has several servers. A mistake in the table would otherwise show as a job that hangs while its
processes look for each other: here it is one line on standard error and exit status 2. No library is needed.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

EXIT_MISTAKE = 2


class TableError(Exception):
    """What is wrong with the table: what was found, what was expected."""


class Device(NamedTuple):
    """One device of the table."""

    server_id: str
    device_id: int
    rank_id: int


def read_table(path: Path) -> dict[str, Any]:
    """The table as it stands in the file. Raises `TableError` if it is no JSON object."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TableError(f"found no readable file ({error.strerror}), expected a rank table") from None
    except ValueError as error:
        raise TableError(f"found no JSON ({error}), expected a rank table") from None
    if not isinstance(table, dict):
        raise TableError(f"found a JSON {type(table).__name__}, expected an object with a server_list")
    return table


def list_devices(table: dict[str, Any]) -> list[Device]:
    """All devices of a table whose head and entries are well formed."""
    status = table.get("status", "completed")
    if status != "completed":
        raise TableError(f"found status {status!r}, expected 'completed'")
    servers = entries(table, "server_list", "the table")
    count = table.get("server_count")
    if str(count) != str(len(servers)):
        raise TableError(f"found server_count {count!r}, expected '{len(servers)}' as in server_list")
    devices = []
    for position, server in enumerate(servers):
        server_id = server.get("server_id")
        if not isinstance(server_id, str) or not server_id:
            raise TableError(f"found server_id {server_id!r} in server {position}, expected its address")
        name = f"server {server_id}"
        for device in entries(server, "device", name):
            devices.append(Device(server_id, number(device, "device_id", name), number(device, "rank_id", name)))
    refuse_repeats("server_id", [server["server_id"] for server in servers], "the table")
    return devices


def entries(holder: dict[str, Any], key: str, name: str) -> list[dict[str, Any]]:
    """The objects listed under a key, at least one."""
    found = holder.get(key)
    if not isinstance(found, list) or not found or not all(isinstance(entry, dict) for entry in found):
        raise TableError(f"found no list of objects as {key} of {name}, expected one with at least one entry")
    return found


def number(entry: dict[str, Any], key: str, name: str) -> int:
    """A whole number, which HCCL writes as a string."""
    found = entry.get(key)
    text = str(found)
    if isinstance(found, bool) or not (text.isascii() and text.isdecimal()):
        raise TableError(f"found {key} {found!r} in {name}, expected a whole number")
    return int(text)


def refuse_repeats(key: str, values: Iterable[object], name: str) -> None:
    """Raise `TableError` if a value comes twice."""
    for value, times in Counter(values).items():
        if times > 1:
            raise TableError(f"found {key} {value} {times} times in {name}, expected once")


def check_devices(devices: Sequence[Device], device_num: int) -> None:
    """Raise `TableError` unless there are `device_num` devices, unique on their server, with ranks 0 to n-1."""
    if len(devices) != device_num:
        raise TableError(f"found {len(devices)} devices, expected {device_num} (DEVICE_NUM)")
    for server_id in {device.server_id: None for device in devices}:
        ids = [device.device_id for device in devices if device.server_id == server_id]
        refuse_repeats("device_id", ids, f"server {server_id}")
    refuse_repeats("rank_id", [device.rank_id for device in devices], "the table")
    ranks = {device.rank_id for device in devices}
    missing = sorted(set(range(device_num)) - ranks)
    if missing:
        raise TableError(f"found rank_id {max(ranks)} but no rank_id {missing[0]}, expected 0 to {device_num - 1}")


def of_server(devices: Sequence[Device], server_id: str | None) -> list[Device]:
    """The devices of this server by rank; which server it is must be told if there are several."""
    servers = list(dict.fromkeys(device.server_id for device in devices))
    listed = ", ".join(servers)
    if server_id is None and len(servers) > 1:
        raise TableError(f"found {len(servers)} servers, expected SERVER_ID to name this one: {listed}")
    if server_id is not None and server_id not in servers:
        raise TableError(f"found no server {server_id} (SERVER_ID), expected one of {listed}")
    chosen = server_id or servers[0]
    return sorted((device for device in devices if device.server_id == chosen), key=lambda device: device.rank_id)


def main(arguments: Sequence[str]) -> int:
    """Check the table and print this server's devices; the exit status."""
    if len(arguments) not in (2, 3) or not (arguments[1].isascii() and arguments[1].isdecimal()):
        print("usage: python scripts/check_rank_table.py TABLE DEVICE_NUM [SERVER_ID]", file=sys.stderr)
        return EXIT_MISTAKE
    path = Path(arguments[0])
    try:
        devices = list_devices(read_table(path))
        check_devices(devices, int(arguments[1]))
        here = of_server(devices, arguments[2] if len(arguments) == 3 else None)
    except TableError as error:
        print(f"error: {path}: {error}", file=sys.stderr)
        return EXIT_MISTAKE
    for device in here:
        print(device.rank_id, device.device_id)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
