"""Static files by names with hashes: collected once a version, complete, and never two versions in one page."""

import errno
import fcntl
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.templatetags.static import static
from django.test import RequestFactory

from infra import static_files
from tests.support.product import ROOT

FILES = {
    "a.js": '/** @typedef {import("./b.js").Two} Two */\nimport { b } from "./b.js";\nexport const a = b;' + 99 * " ",
    "b.js": '/** @typedef {import("./a.js").One} One */\nexport const b = 1;\nconst late = () => import("./c.js");\n',
    "c.js": "export const c = 1;\n",
    "page.css": "body { background: url(dot.svg) }\n",
    "dot.svg": "<svg/>\n",
}
Get = Callable[..., Any]
# The folder in which it finds a name that leads nowhere.
WHITENOISE_LEAVES_OPEN = pytest.mark.filterwarnings("ignore:unclosed scandir iterator:ResourceWarning")


@pytest.fixture
def checkout(tmp_path: Path, settings: Any) -> Path:
    """A folder of static files, which are all that there are."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_text(content)
    settings.STATICFILES_DIRS = [("shop", folder)]
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STATIC_ROOT = tmp_path / "collected"
    return folder


@pytest.fixture
def get() -> Get:
    """The answer to a GET, by middleware as a process makes it after it has collected, unless another is given."""

    def get(path: str, middleware: static_files.StaticFilesMiddleware | None = None) -> Any:
        request = RequestFactory().get(path, headers={"Accept-Encoding": "gzip"})
        answer = (middleware or static_files.StaticFilesMiddleware(lambda _: HttpResponse(status=404)))(request)
        if answer.streaming:
            answer.file_to_stream.close()  # its own `close` looks after the database, too
        return answer

    return get


def collected(root: Path) -> dict[str, str]:
    """The collected modules, styles and pictures, by name."""
    return {path.name: path.read_text() for path in (root / "shop").iterdir() if path.suffix != ".gz"}


def start_again(settings: Any) -> None:
    """As another process begins: nothing is remembered but what is in the folder."""
    settings.STATIC_ROOT = Path(settings.STATIC_ROOT)
    assert static_files.release() == ""
    static_files.collect()


def test_a_page_links_to_a_name_with_a_hash_and_each_file_to_such_names(checkout: Path, settings: Any) -> None:
    assert static("shop/a.js") == "/static/shop/a.js"
    static_files.collect()
    a, b, c, dot = (Path(static(f"shop/{name}")).name for name in ("a.js", "b.js", "c.js", "dot.svg"))
    assert re.fullmatch(r"a\.[0-9a-f]{12}\.js", a)
    files = collected(settings.STATIC_ROOT)
    assert f'from "./{b}"' in files[a]
    assert f'import("./{c}")' in files[b]
    assert dot in files[Path(static("shop/page.css")).name]
    assert len(files) == len(FILES)


def test_types_in_comments_are_left_alone_and_may_name_each_other(checkout: Path, settings: Any) -> None:
    static_files.collect()
    assert 'import("./a.js").One' in collected(settings.STATIC_ROOT)[Path(static("shop/b.js")).name]


def test_names_with_hashes_are_kept_for_good_and_others_are_not_served(checkout: Path, get: Get) -> None:
    static_files.collect()
    answer = get(static("shop/a.js"))
    assert answer["Cache-Control"] == "max-age=315360000, public, immutable"
    assert (answer["Content-Encoding"], answer["Access-Control-Allow-Origin"]) == ("gzip", "*")
    for name in ("shop/a.js", "staticfiles.json.gz", "shop/"):
        assert get(f"/static/{name}").status_code == 404


def test_before_anything_is_collected_names_are_the_checkouts(checkout: Path) -> None:
    assert (static("shop/a.js"), static_files.release()) == ("/static/shop/a.js", "")


def test_the_second_start_collects_nothing(checkout: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    static_files.collect()
    names, release = static("shop/a.js"), static_files.release()
    monkeypatch.setattr(static_files.HashedStorage, "post_process", lambda *_: pytest.fail("it collects"))
    start_again(settings)
    assert (static("shop/a.js"), static_files.release()) == (names, release)


def test_a_change_deep_down_is_another_release_with_another_name_for_all_above_it(
    checkout: Path, settings: Any
) -> None:
    static_files.collect()
    before = {name: static(f"shop/{name}") for name in FILES}
    release = static_files.release()
    (checkout / "c.js").write_text("export const c = 2;\n")
    start_again(settings)
    after = {name: static(f"shop/{name}") for name in FILES}
    assert {name for name in FILES if after[name] != before[name]} == {"a.js", "b.js", "c.js"}
    assert static_files.release() not in ("", release)


@pytest.mark.parametrize("name", ["board.html", "hi/LC_MESSAGES/django.mo", "pages/views.py"])
def test_a_change_of_what_writes_pages_is_another_release_of_the_same_files(
    checkout: Path, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    project = tmp_path / "project"
    file = project / name
    file.parent.mkdir(parents=True)
    file.write_text("of before")
    settings.BASE_DIR = project
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [project] if name.endswith(".html") else []}]
    settings.LOCALE_PATHS = [project] if name.endswith(".mo") else []
    monkeypatch.setattr(apps.get_app_config("pages"), "path", str(project / "pages"))
    static_files.collect()
    files, release = static("shop/a.js"), static_files.release()
    start_again(settings)
    assert static_files.release() == release
    file.write_text("of today")
    start_again(settings)
    assert static("shop/a.js") == files
    assert static_files.release() not in ("", release)


@pytest.mark.parametrize(("name", "value"), [("TIME_ZONE", "Asia/Dubai"), ("BASE_CURRENCY", "AED")])
def test_another_currency_or_time_zone_is_another_release(checkout: Path, settings: Any, name: str, value: str) -> None:
    static_files.collect()
    release = static_files.release()
    setattr(settings, name, value)
    start_again(settings)
    assert static_files.release() not in ("", release)


def test_open_pages_find_their_files_for_one_version_more(checkout: Path, settings: Any, get: Get) -> None:
    static_files.collect()
    first = static("shop/c.js")
    for number in (2, 3):
        (checkout / "c.js").write_text(f"export const c = {number};\n")
        start_again(settings)
        assert get(first).status_code == (200 if number == 2 else 404)
    assert len(collected(settings.STATIC_ROOT)) == len(FILES) + 3  # a, b and c of the version before


def test_a_process_serves_what_a_newer_one_collects_and_no_longer_what_that_removes(
    checkout: Path, settings: Any, get: Get
) -> None:
    addresses = []
    for number in (1, 2, 3):
        (checkout / "c.js").write_text(f"export const c = {number};\n")
        start_again(settings)
        if number == 1:
            older = static_files.StaticFilesMiddleware(lambda _: HttpResponse(status=404))
        addresses.append(static("shop/c.js"))
        answers = [get(address, older).status_code for address in addresses]
        assert answers == [200, 200, 200][:number] if number < 3 else [404, 200, 200]


def test_what_a_killed_process_left_behind_is_not_in_the_way(checkout: Path, settings: Any) -> None:
    draft = Path(settings.STATIC_ROOT) / ".draft" / "shop"
    draft.mkdir(parents=True)
    (draft / "a.js").write_text("half")
    static_files.collect()
    assert "half" not in collected(settings.STATIC_ROOT)
    assert not draft.exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda root: (root / "staticfiles.json").write_bytes(b""),
        lambda root: (root / "staticfiles.json").write_bytes(b"\xff\xfe"),
        lambda root: (root / "staticfiles.json").unlink(),
        lambda root: next(root.glob("shop/c.*.js")).unlink(),
    ],
    ids=["manifest emptied", "manifest of garbage", "manifest gone", "file gone"],
)
def test_a_damaged_folder_is_collected_anew(
    checkout: Path, settings: Any, get: Get, damage: Callable[[Path], None]
) -> None:
    static_files.collect()
    damage(settings.STATIC_ROOT)
    start_again(settings)
    assert get(static("shop/c.js")).status_code == 200


def test_a_disk_that_is_full_is_not_filled_further_and_keeps_the_version_before(
    checkout: Path, settings: Any, get: Get, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    static_files.collect()
    before = static("shop/c.js")
    (checkout / "c.js").write_text("export const c = 2;\n")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(static_files.HashedStorage, "post_process", full)
        start_again(settings)
    assert static("shop/c.js") == "/static/shop/c.js"
    assert "No space left" in caplog.text
    assert not list(settings.STATIC_ROOT.glob(".draft"))
    start_again(settings)
    assert get(before).status_code == 200


def test_a_folder_that_cannot_be_written_is_said_and_the_checkout_served(
    checkout: Path, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.STATIC_ROOT = checkout / "c.js" / "static"
    static_files.collect()
    assert static("shop/a.js") == "/static/shop/a.js"
    assert static_files.release() != ""
    (record,) = caplog.records
    assert "or set STATIC_ROOT to one that is" in record.getMessage()


def test_a_process_that_keeps_the_folder_locked_keeps_no_other_from_starting(
    checkout: Path, settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(static_files, "_LONGEST_LOCK", 0.1)
    settings.STATIC_ROOT.mkdir()
    descriptor = os.open(settings.STATIC_ROOT, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        static_files.collect()
        assert static("shop/a.js") == "/static/shop/a.js"
        assert "another process has kept it locked" in caplog.text
    finally:
        os.close(descriptor)
    static_files.collect()
    assert static("shop/a.js") != "/static/shop/a.js"


def test_a_process_waits_while_another_one_collects(
    checkout: Path, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.STATIC_ROOT.mkdir()
    descriptor = os.open(settings.STATIC_ROOT, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(static_files.collect)
        with pytest.raises(TimeoutError):
            waiting.result(0.2)
        os.close(descriptor)
        waiting.result(8)
    assert static("shop/a.js") != "/static/shop/a.js"
    assert not caplog.records


@WHITENOISE_LEAVES_OPEN
def test_a_link_that_leads_nowhere_is_an_error_and_no_endless_search(
    checkout: Path, settings: Any, get: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(static_files, "_LONGEST_MOVE", 0.1)
    static_files.collect()
    link = settings.STATIC_ROOT / "shop" / "nowhere.js"
    link.symlink_to("gone.js")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.js"):
        get(static("shop/a.js"))


@WHITENOISE_LEAVES_OPEN
def test_a_file_that_is_moved_while_they_are_listed_is_looked_for_again(
    checkout: Path, settings: Any, get: Get, monkeypatch: pytest.MonkeyPatch
) -> None:
    static_files.collect()
    link = settings.STATIC_ROOT / "shop" / "moved.js"
    link.symlink_to("gone.js")
    monkeypatch.setattr("infra.static_files.time.sleep", lambda _: link.unlink(missing_ok=True))
    assert get(static("shop/a.js")).status_code == 200


def test_a_file_that_names_another_that_is_not_there_stops_the_start(checkout: Path) -> None:
    (checkout / "c.js").write_text('import "./nowhere.js";\n')
    with pytest.raises(ImproperlyConfigured, match=r"(?s)shop/c\.js.*nowhere\.js"):
        static_files.collect()


# --- the product's own files -----------------------------------------------------------------------------------------

OURS = [*sorted(path.name for path in ROOT.glob("*/static/*") if path.is_dir()), "client"]
# What loads: at the beginning of a statement, or where it is called.
LOADS = re.compile(
    r"""^(?:import|export)\b[^;'"]*?["'](\.[^"']+)["']|\bimport\(\s*["'](\.[^"']+)["']\s*\)(?!\.[A-Z])""", re.M
)


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The product's static files, collected."""
    folder = tmp_path_factory.mktemp("product")
    static_files._collect_into(folder, dict(static_files._found()), "")
    return folder


@pytest.mark.parametrize("folder", OURS)
def test_all_that_a_module_loads_is_there_by_a_name_with_a_hash(product: Path, folder: str) -> None:
    modules = list((product / folder).rglob("*.js"))
    loaded = {
        Path(os.path.normpath(module.parent / (static or dynamic)))
        for module in modules
        for static, dynamic in LOADS.findall(module.read_text())
    }
    assert {path for path in loaded if not path.is_file()} == set()


def test_modules_load_something(product: Path) -> None:
    """Or the test above would prove nothing."""
    assert any(LOADS.search(path.read_text()) for path in (product / "client").glob("react.*.js"))
