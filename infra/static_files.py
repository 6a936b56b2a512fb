"""Static files by names with a hash of their content: no page mixes two versions, and browsers keep them for good.

A web process collects them before its first request: it copies all files into `STATIC_ROOT`, under such names, with the
names in them replaced, and compressed. It does so only where a file has changed since. A process that has collected
none (a command, a test, one with DEBUG) links to the files of the checkout, by their own names.

All that pages are made of, these files and what writes the HTML, has one short hash, the release: open pages and
screens load themselves anew when another one is served.
"""

import errno
import fcntl
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import django
from django.apps import apps
from django.conf import UserSettingsHolder, settings
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import StaticFilesStorage, staticfiles_storage
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import FileSystemStorage
from django.http import HttpRequest
from django.template import engines
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.storage import CompressedManifestStaticFilesStorage

logger = logging.getLogger(__name__)

# The larger part of drf-spectacular's files: another page than the one that we have.
_NOT_SERVED = ("redoc",)
# The key in the manifest of what was collected: a hash over the names and contents of all files.
_STAMP = "stamp"
# The part of a type in a comment, `import("./units.js").Unit`, that follows the address.
_OF_A_TYPE = re.compile(r"\.[A-Z]")
# Of files that the HTML of pages is written by: code, templates, translations.
_WRITES_PAGES = frozenset({".py", ".html", ".mo"})

# Seconds in which another process has moved its files, or has collected them all, which takes a few; and between tries.
_LONGEST_MOVE = 5.0
_LONGEST_LOCK = 60.0
_PAUSE = 0.05


class HashedStorage(CompressedManifestStaticFilesStorage):
    """The storage of static files, in `STATIC_ROOT`. Until `collect` has been called, their URLs are without hashes."""

    support_js_module_import_aggregation = True
    # Each pass resolves one more link in a chain of imports.
    max_post_process_passes = 20
    keep_only_hashed_files = True

    is_collected = False
    release = ""

    def use_collected(self) -> None:
        """From now on, link to the files that are in `STATIC_ROOT`."""
        self.is_collected = True
        self.hashed_files, self.manifest_hash = self.load_manifest()

    def read_manifest(self) -> Any:
        return super().read_manifest() if self.is_collected else None

    def url(self, name: str, force: bool = False) -> str:
        url: str = super().url(name, force) if self.is_collected else StaticFilesStorage.url(self, name)
        return url

    def url_converter(self, name: str, *args: Any, **options: Any) -> Callable[[re.Match[str]], str]:
        """As in Django, but types in comments are left alone: modules may name each other's in a circle."""
        convert = super().url_converter(name, *args, **options)
        return lambda found: found[0] if _OF_A_TYPE.match(found.string, found.end()) else convert(found)


class StaticFilesMiddleware(WhiteNoiseMiddleware):
    """Serves what was collected; where nothing was, the files of the checkout.

    While processes are replaced one by one, those of the version before serve what the newer ones have collected too: a
    page of one asks any of them for its files.
    """

    files: dict[str, Any]

    def __init__(self, get_response: Any) -> None:
        self._found_at = _collected_at()
        chosen = UserSettingsHolder(settings)
        chosen.WHITENOISE_USE_FINDERS = not _storage().is_collected
        chosen.STATIC_ROOT = settings.STATIC_ROOT if _storage().is_collected else None
        super().__init__(get_response, chosen)

    def __call__(self, request: HttpRequest) -> Any:
        if (
            self.static_root
            and request.path_info.startswith(self.static_prefix)
            and self._found_at != (collected_at := _collected_at())
        ):
            self.files = StaticFilesMiddleware(self.get_response).files
            self._found_at = collected_at
        return super().__call__(request)

    def update_files_dictionary(self, root: str, prefix: str) -> None:
        """As WhiteNoise, also while another process moves files there.

        Raises FileNotFoundError for a name that goes on leading nowhere, as a broken link does.
        """
        until = time.monotonic() + _LONGEST_MOVE
        while True:
            try:
                super().update_files_dictionary(root, prefix)
            except FileNotFoundError:
                if time.monotonic() > until:
                    raise
                time.sleep(_PAUSE)
            else:
                return


def release() -> str:
    """A short hash of all that this process's pages are made of; empty in one that has not called `collect`."""
    return _storage().release


def _storage() -> HashedStorage:
    return cast(HashedStorage, staticfiles_storage)


def collect() -> None:
    """Bring `STATIC_ROOT` up to date where a file has changed, and serve its files from then on.

    Files of the version before stay for pages that are open. Processes that share the folder wait for each other. Where
    it cannot be written, a warning is logged, and the files of the checkout are served.
    """
    root = Path(settings.STATIC_ROOT)
    found = dict(_found())
    stamp = _stamp(found)
    _storage().release = _release(stamp)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _locked(root):
            if not _is_collected(root, stamp):
                _collect_into(root, found, stamp)
            _storage().use_collected()
    except OSError as error:
        logger.warning(
            "static files cannot be collected in %s (%s): they are served as they are, and pages may mix two versions "
            "after an update. Make the folder writable, or set STATIC_ROOT to one that is; end a process that keeps it "
            "locked",
            root,
            error.strerror or error,
        )


def _found() -> Iterator[tuple[str, tuple[FileSystemStorage, str]]]:
    """All static files, by the names that pages know them by, and where each one is. Of two by one name, the first."""
    seen = set[str]()
    for finder in finders.get_finders():
        for path, storage in finder.list(_NOT_SERVED):
            name = str(Path(getattr(storage, "prefix", None) or "", path))
            if name not in seen:
                seen.add(name)
                yield name, (storage, path)


def _stamp(found: dict[str, tuple[FileSystemStorage, str]]) -> str:
    """A hash over all files, and over what processes them: Django, and this module."""
    digest = sha256(django.__version__.encode() + Path(__file__).read_bytes())
    for name, (storage, path) in sorted(found.items()):
        content = Path(storage.path(path)).read_bytes()
        digest.update(f"\n{name} {len(content)} ".encode() + content)
    return digest.hexdigest()


def _release(stamp: str) -> str:
    """A hash over the static files, and over the project's code, templates, translations, currency and time zone."""
    digest = sha256(f"{stamp} {settings.BASE_CURRENCY} {settings.TIME_ZONE}".encode())
    folders = [Path(__file__).parent, *(Path(app.path) for app in apps.get_app_configs() if _is_ours(app.path))]
    folders += [Path(folder) for engine in engines.all() for folder in engine.dirs]
    for folder in [*folders, *settings.LOCALE_PATHS]:
        for path in sorted(path for path in _files(folder) if path.suffix in _WRITES_PAGES):
            content = path.read_bytes()
            digest.update(f"\n{path.relative_to(folder)} {len(content)} ".encode() + content)
    return digest.hexdigest()[:12]


def _is_ours(app: str) -> bool:
    """Return True if the folder of an app is the project's own, and no library's."""
    return Path(app).resolve().parent == settings.BASE_DIR


def _collect_into(root: Path, found: dict[str, tuple[FileSystemStorage, str]], stamp: str) -> None:
    """Put the files into a folder, and remove those of neither this version nor the one before.

    The manifest comes last: whenever this ends early, the folder holds the version before.
    """
    draft = root / ".draft"
    shutil.rmtree(draft, ignore_errors=True)  # of a process that was killed meanwhile
    try:
        storage = HashedStorage(location=draft)
        for name, (source, path) in found.items():  # names in files are looked for beside them
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source.path(path), draft / name)
        for name, _, processed in storage.post_process(found):
            if isinstance(processed, Exception):
                raise ImproperlyConfigured(f"Static file {name}: {processed}") from processed
        manifest = draft / storage.manifest_name
        manifest.write_text(json.dumps({**json.loads(manifest.read_bytes()), _STAMP: stamp}))
        kept = _hashed_names(_manifest(root)) | set(storage.hashed_files.values()) | {storage.manifest_name}
        for file in _files(root):
            if draft not in file.parents and str(file.relative_to(root)).removesuffix(".gz") not in kept:
                file.unlink()
        for file in sorted(_files(draft), key=lambda file: file == manifest):
            target = root / file.relative_to(draft)
            target.parent.mkdir(parents=True, exist_ok=True)
            file.replace(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)  # on a full disk it would keep others from writing


def _is_collected(root: Path, stamp: str) -> bool:
    """Return True if a folder holds all files of a version, whatever was done to it since."""
    manifest = _manifest(root)
    return manifest.get(_STAMP) == stamp and all((root / name).is_file() for name in _hashed_names(manifest))


def _manifest(root: Path) -> dict[str, Any]:
    """The manifest of what was collected in a folder; empty if it cannot be read."""
    try:
        return dict(json.loads((root / HashedStorage.manifest_name).read_bytes()))
    except (OSError, ValueError, TypeError):
        return {}


def _hashed_names(manifest: dict[str, Any]) -> set[str]:
    """The names of the files that a manifest lists."""
    return set(manifest.get("paths", {}).values())


def _collected_at() -> int | None:
    """The time of the last collecting, by the file system's clock, in nanoseconds; None if there was none."""
    try:
        return Path(settings.STATIC_ROOT, HashedStorage.manifest_name).stat().st_mtime_ns
    except OSError:
        return None


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Wait until no other process has the folder locked, and lock it. Raises TimeoutError where one keeps it."""
    descriptor = os.open(folder, os.O_RDONLY)
    until = time.monotonic() + _LONGEST_LOCK
    try:
        while not _has_locked(descriptor):
            if time.monotonic() > until:
                raise TimeoutError(errno.ETIMEDOUT, f"another process has kept it locked for {_LONGEST_LOCK:.0f} s")
            time.sleep(_PAUSE)
        yield
    finally:
        os.close(descriptor)


def _has_locked(descriptor: int) -> bool:
    """Lock a folder; False where another process has."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
