"""A dataset on the Hub, as far as this package writes it. `huggingface_hub` sends every request, and knows the token."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Optional, Union

from .errors import OptionError, PushError

SCHEME = "hf://datasets/"
REPOSITORY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}")
AGAIN = "make the same call again; what is uploaded already is not uploaded again"
READ_BYTES = 1 << 20

Content = Union[str, bytes]
"""The path of a file, or what is to be in it."""


def repository_of(text: str) -> str:
    """Returns `OWNER/NAME` of `hf://datasets/OWNER/NAME` or of itself. Raises OptionError for anything else."""
    name = text[len(SCHEME) :] if text.startswith(SCHEME) else text
    if REPOSITORY.fullmatch(name) is None:
        raise OptionError(f"{text} is no dataset to push to", "write OWNER/NAME, or hf://datasets/OWNER/NAME", 2)
    return name


def check_installed() -> None:
    """Raises OptionError where `huggingface_hub` is missing: before anything is paid for."""
    if importlib.util.find_spec("huggingface_hub") is None:
        raise OptionError("pushing to the Hub needs huggingface_hub", 'run `pip install "cohobate[hub]"`', 2)


class Remote:
    """A dataset on the Hub."""

    def __init__(self, repository: str) -> None:
        check_installed()
        self.repository = repository
        self._library: Any = importlib.import_module("huggingface_hub")
        self._api: Any = self._library.HfApi(library_name="cohobate")
        self.head: Optional[str] = None
        """The commit that the files were listed of."""
        self.files: dict[str, str] = {}
        """The hash of each file."""

    def create(self, private: Optional[bool]) -> None:
        """Creates the dataset where it is not there, and lists its files."""
        with self._errors():
            self._api.create_repo(self.repository, repo_type="dataset", private=private, exist_ok=True)
        self.refresh()

    def refresh(self) -> None:
        """Lists the files of the newest commit."""
        with self._errors():
            self.head = self._api.dataset_info(self.repository).sha
            tree = self._api.list_repo_tree(self.repository, repo_type="dataset", revision=self.head, recursive=True)
            self.files = {
                each.path: each.lfs.sha256 if each.lfs is not None else each.blob_id
                for each in tree
                if isinstance(each, self._library.hf_api.RepoFile)
            }

    def text(self, path: str) -> Optional[str]:
        """Returns a small file as text, or None if it does not exist."""
        if path not in self.files:
            return None
        with self._errors():
            there = self._api.hf_hub_download(self.repository, path, repo_type="dataset", revision=self.head)
        with open(there, encoding="utf-8", errors="replace") as file:
            return file.read()

    def has(self, path: str, content: Content) -> bool:
        """Returns whether a file has this content already."""
        there = self.files.get(path)
        return there is not None and there == digest_of(content, len(there))

    def commit(self, message: str, add: Mapping[str, Content], delete: Sequence[str]) -> Optional[str]:
        """Makes one commit of all that differs, and returns it; None where nothing does. Folders to delete end in `/`.

        Contents are uploaded before, and those that the Hub has are not uploaded. Fails where somebody else has made a commit
        since the files were listed.
        """
        changed = {path: content for path, content in add.items() if not self.has(path, content)}
        gone = [path for path in delete if self._is_there(path)]
        if not changed and not gone:
            return None
        library = self._library
        operations = [library.CommitOperationDelete(path, is_folder=path.endswith("/")) for path in gone]
        operations += [library.CommitOperationAdd(path, content) for path, content in changed.items()]
        with self._errors():
            done = self._api.create_commit(
                self.repository,
                operations,
                commit_message=message,
                repo_type="dataset",
                parent_commit=self.head,
            )
        self.refresh()
        return str(done.oid)

    def _is_there(self, path: str) -> bool:
        if path.endswith("/"):
            return any(file.startswith(path) for file in self.files)
        return path in self.files

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Makes every failure of the client one of this package; hides its bars, which would run into this one's."""
        utils = self._library.utils
        are_hidden = utils.are_progress_bars_disabled()
        utils.disable_progress_bars()
        try:
            yield
        except PushError:
            raise
        except Exception as error:
            text = " ".join(str(error).split())[:1_000] or type(error).__name__
            raise PushError(f"cannot push to {self.repository}: {text}", AGAIN, 1) from error
        finally:
            if not are_hidden:
                utils.enable_progress_bars()


def digest_of(content: Content, length: int) -> str:
    """Returns the hash of a content as the Hub has it: SHA-256 where it has 64 digits, git's own where it has 40."""
    size = os.path.getsize(content) if isinstance(content, str) else len(content)
    hasher = hashlib.sha256() if length == 64 else hashlib.sha1(b"blob %d\0" % size)
    if isinstance(content, bytes):
        hasher.update(content)
    else:
        with open(content, "rb") as file:
            while piece := file.read(READ_BYTES):
                hasher.update(piece)
    return hasher.hexdigest()
