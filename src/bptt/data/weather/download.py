"""One pinned file from the network: a short wait, a size limit, a checksum."""

from __future__ import annotations

import hashlib
import os
import queue
import threading
import time

from bptt.errors import DataError

ANSWER_WITHIN = 5.0  # seconds until the first byte
ARRIVE_WITHIN = 60.0  # seconds for the rest
CHUNK = 1 << 16


def offline() -> bool:
    """Return whether ``BPTT_OFFLINE`` forbids downloads (set, and neither empty nor 0)."""
    return os.environ.get("BPTT_OFFLINE", "") not in ("", "0")


def download(address: str, *, sha256: str, limit: int, answer_within: float = ANSWER_WITHIN) -> bytes:
    """Return the bytes at `address` if they have the checksum.

    Parameters
    ----------
    address : str
    sha256 : str
        Checksum that the bytes must have.
    limit : int
        Bytes at most.
    answer_within : float
        Seconds until the first byte.

    Raises
    ------
    DataError
        ``BPTT_OFFLINE`` is set; no answer in time; more bytes than `limit`; another checksum.
    """
    if offline():
        raise DataError(
            f"{address} must not be fetched while BPTT_OFFLINE is set. Got BPTT_OFFLINE={os.environ['BPTT_OFFLINE']}"
        )
    # A thread, because looking up a name can take longer than any socket's timeout and cannot be cut short otherwise.
    answers: queue.Queue[bytes | str] = queue.Queue()
    threading.Thread(target=_fetch, args=(address, limit, answer_within, answers), daemon=True).start()
    deadline = time.monotonic() + ARRIVE_WITHIN
    parts: list[bytes] = []
    wait = answer_within
    while True:
        try:
            part = answers.get(timeout=max(wait, 0.0))
        except queue.Empty:
            told = f"within {answer_within:g} s" if not parts else f"in full within {ARRIVE_WITHIN:g} s"
            raise DataError(f"{address} must answer {told}. Got no answer") from None
        if isinstance(part, str):
            raise DataError(f"{address} must be reachable. Got: {part}")
        if not part:
            break
        parts.append(part)
        wait = deadline - time.monotonic()
    raw = b"".join(parts)
    if len(raw) > limit:
        raise DataError(f"{address} must be a file of at most {limit} bytes. Got more")
    check_sha256(raw, sha256, address)
    return raw


def check_sha256(raw: bytes, sha256: str, name: str) -> None:
    """Raise unless the bytes have this checksum."""
    found = hashlib.sha256(raw).hexdigest()
    if found != sha256:
        raise DataError(
            f"{name} must have the sha256 {sha256}. Got {found}: it is another file, or was changed on the way"
        )


def _fetch(address: str, limit: int, timeout: float, answers: queue.Queue[bytes | str]) -> None:
    """Put the bytes into `answers` part by part, b"" after the last, or what went wrong as text."""
    # Loaded here: it brings http, ssl and email along, which a run without a download has no use for.
    import http.client
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(address, timeout=timeout) as answer:
            left = limit + 1
            while left > 0 and (part := answer.read(min(CHUNK, left))):
                answers.put(part)
                left -= len(part)
        answers.put(b"")
    except urllib.error.URLError as error:
        answers.put(f"{getattr(error, 'code', '')} {error.reason}".strip())
    except (OSError, http.client.HTTPException, ValueError) as error:
        answers.put(str(error) or type(error).__name__)
