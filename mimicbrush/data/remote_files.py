"""Files at an address (https://, s3://, gs://, ...), read by fsspec: retried, and with one sentence where that fails.

fsspec is imported when an address is used, so folders on this machine need neither it nor the libraries behind it.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mimicbrush.errors import UserError, first_line

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

T = TypeVar("T")
R = TypeVar("R")

SEPARATOR = "://"
EXTRA = "pip install -c constraints.txt -e '.[remote]'"
WAITS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before each further try, half a minute in all."""
CONNECT_SECONDS, SILENT_SECONDS, TOTAL_SECONDS = 15, 30, 300
"""Over HTTP, longest time until a connection stands, without a byte, and for one request."""
TRANSIENT_STATUS = (408, 425, 429)
"""HTTP statuses below 500 after which the same request may succeed."""
NO_RANGES = "the server ignores ranges of bytes, by which samples are read; use another one"
"""Message about a server that answers with the whole file, as `python -m http.server` does."""
NUM_THREADS = 16
"""Number of requests at once while a folder is opened."""


_opened: dict[int, AbstractFileSystem] = {}
"""All file systems with connections of their own. After a fork, the child forgets those of its parent; if the last
reference went, fsspec would close their connections in the child, and the parent would wait in vain for answers."""


@dataclass(frozen=True, order=True)
class Address:
    """Address of a file or folder, with those methods of pathlib.Path that reading shards needs."""

    url: str
    """Complete address; a query, such as an access token, applies to all files of a folder."""

    @property
    def name(self) -> str:
        return self._place.rpartition("/")[2]

    @property
    def parent(self) -> Address:
        return self._with_place(self._place.rpartition("/")[0])

    def __truediv__(self, name: str) -> Address:
        return self._with_place(f"{self._place}/{name}")

    def with_suffix(self, suffix: str) -> Address:
        return self.parent / f"{self.name.rpartition('.')[0]}{suffix}"

    def __str__(self) -> str:
        """The address without its query and without a password, which are secrets."""
        protocol, separator, rest = self._place.partition(SEPARATOR)
        host, slash, path = rest.partition("/")
        return f"{protocol}{separator}{host.rpartition('@')[2]}{slash}{path}"

    @property
    def _place(self) -> str:
        return self.url.partition("?")[0].rstrip("/")

    def _with_place(self, place: str) -> Address:
        return Address(place + "".join(self.url.partition("?")[1:]))

    def is_file(self) -> bool:
        """Whether there is a file; raises UserError where that cannot be found out."""
        try:
            self.read_bytes(0, 1)
        except FileNotFoundError:
            return False
        return True

    def ends_at(self, size: int) -> bool:
        """Whether there is a file of this size; raises UserError where that cannot be found out.

        Its last byte is read: for the size alone, servers and file systems have too many answers.
        """
        try:
            found = self.read_bytes(size - 1, size + 1)
        except FileNotFoundError:
            return False
        if len(found) > 2:
            raise UserError(f"{self}: {NO_RANGES}")
        return len(found) == 1

    def modified(self) -> float | None:
        """Time of the last change in seconds since 1970, None where the file system does not say."""
        try:
            return self._try(lambda files, path: files.modified(path).timestamp())
        except NotImplementedError:
            return None

    def read_bytes(self, first: int | None = None, last: int | None = None) -> bytes:
        """All bytes, or those from `first` to before `last`; raises FileNotFoundError or UserError.

        There may be fewer, where the file ends before `last`, and more, where the server ignores the range.
        """
        return self._try(lambda files, path: _read_range(files, path, first, last))

    def read_range(self, first: int, last: int) -> bytes:
        """The bytes from `first` to before `last`; raises UserError where there are not so many."""
        content = self.read_bytes(first, last) if last > first else b""
        if len(content) != last - first:
            raise UserError(f"{self}: {len(content)} bytes instead of {last - first}; try again, or use another server")
        return content

    def read_text(self, encoding: str = "utf-8") -> str:
        return self.read_bytes().decode(encoding)

    def write_bytes(self, content: bytes) -> None:
        """Write a file, whole; raises UserError where the file system cannot write, as over HTTP."""
        self._try(lambda files, path: files.pipe_file(path, content))

    def list_names(self) -> list[str]:
        """Names of the files in this folder, sorted; none where a web server does not list it; raises UserError."""
        try:
            found = self._try(lambda files, path: files.ls(path, detail=False))
        except FileNotFoundError:
            return []
        except UserError:
            if not self.is_http:
                raise
            return []
        return sorted(name.rstrip("/").rpartition("/")[2] for name in found)

    @property
    def is_http(self) -> bool:
        return self._protocol in ("http", "https")

    @property
    def _protocol(self) -> str:
        return self.url.partition(SEPARATOR)[0]

    def open_file_system(self) -> tuple[AbstractFileSystem, str]:
        """The file system for this process, and the path in it; raises UserError where a package is missing."""
        protocol = self._protocol
        try:
            from fsspec.core import url_to_fs

            files, path = url_to_fs(self.url, **(_http_options(protocol) if self.is_http else {}))
            if files.async_impl:
                _opened[id(files)] = files
            return files, path
        except ImportError as error:
            what = f"shards at an address need an extra: {EXTRA}"
            if not self.is_http and getattr(error, "name", None) != "fsspec":  # such as "Install s3fs to access S3"
                what = f"{protocol}:// needs a further package ({first_line(error)})"
            raise UserError(f"{self}: {what}") from None
        except ValueError as error:
            raise UserError(
                f"{self}: {first_line(error)}; expected https://, s3:// or another fsspec address"
            ) from None

    def _try(self, action: Callable[[AbstractFileSystem, str], T]) -> T:
        """Do something in the file system, several times if need be.

        Raises UserError for what fails, but FileNotFoundError, and what is no failure of a file system, as they come.
        """
        files, path = self.open_file_system()
        for number, wait in enumerate((*WAITS, 0.0), start=1):
            try:
                return action(files, path)
            except (FileNotFoundError, NotImplementedError, AttributeError, NameError, TypeError):
                raise
            # File systems raise errors of the libraries below them, which have no common class.
            except Exception as error:
                if not _is_transient(error):
                    raise UserError(f"{self}: {_describe(error)}; check the address and the access to it") from None
                if number > len(WAITS):
                    fact = f"{_describe(error)}, tried {number} times"
                    advice = "check the network and the server, then run the same command again"
                    raise UserError(f"{self}: cannot be reached ({fact}); {advice}") from None
            time.sleep(wait * random.SystemRandom().uniform(0.5, 1.5))
        raise AssertionError("unreachable")


def is_address(folder: str | Path | Address) -> bool:
    """Whether this names a folder at an address, and not one on this machine."""
    return SEPARATOR in (folder.url if isinstance(folder, Address) else str(folder))


def was_address(path: Path) -> bool:
    """Whether this is an address that was read as a path, which removes a slash."""
    return re.match(r"[a-z][a-z0-9+]+:/", path.as_posix()) is not None


def locate(folder: str | Path | Address) -> Path | Address:
    """The folder as a path or an address, whatever a config says.

    Raises UserError for an address that a config has read as a path, which removes a slash.
    """
    if isinstance(folder, Address):
        return folder
    if isinstance(folder, Path) and was_address(folder):
        raise UserError(f"{folder}: this command reads folders of this machine only; copy the shards here")
    return Address(str(folder)) if is_address(folder) else Path(folder)


def at_once(action: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Do something for all items in several threads, and return the results in order."""
    with ThreadPoolExecutor(NUM_THREADS) as threads:
        return list(threads.map(action, items))


def _read_range(files: AbstractFileSystem, path: str, first: int | None, last: int | None) -> bytes:
    try:
        return files.cat_file(path, start=first, end=last)
    except Exception as error:
        if getattr(error, "status", None) == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:  # the file ends before it
            return b""
        raise


def _http_options(protocol: str) -> dict:
    """Options for HTTP, with those of the user's fsspec configuration."""
    import aiohttp
    from fsspec.config import conf

    timeout = aiohttp.ClientTimeout(total=TOTAL_SECONDS, sock_connect=CONNECT_SECONDS, sock_read=SILENT_SECONDS)
    own = conf.get(protocol, {})
    return {
        # Proxies are those of the environment.
        "client_kwargs": {"timeout": timeout, "trust_env": True, **own.get("client_kwargs", {})},
        # A compressed answer would be another number of bytes.
        "headers": {"Accept-Encoding": "identity", **own.get("headers", {})},
    }


def _is_transient(error: Exception) -> bool:
    """Whether the same request may succeed later."""
    status = getattr(error, "status", None)
    if isinstance(status, int) and 400 <= status < 500:
        return status in TRANSIENT_STATUS
    return not isinstance(error, PermissionError | IsADirectoryError | NotADirectoryError)


def _describe(error: Exception) -> str:
    status = getattr(error, "status", None)
    if isinstance(status, int) and status:
        return f"the server answers {status} {getattr(error, 'message', '')}".rstrip()
    return "no answer in time" if isinstance(error, TimeoutError) else first_line(error)
