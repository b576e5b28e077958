"""Look at the built book, and run a chapter, in a real browser.

    python tests/browser.py [--site _build/html] [--lab chapters/x.ipynb] [--shots DIR]

Opens every page twice: over http, light, 1280 px wide; as a file, dark, 390 px wide.
A page must load nothing from outside, log no error, fit its window, show no raw TeX
and no broken formula, and describe each image. Then a chapter runs in JupyterLab:
its outputs are cleared, "Run All Cells" is chosen from the menu, and the verdicts
shown must be the stored ones. Exits with 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import functools
import html
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LOOK = r"""async () => {
  if (window.MathJax?.startup?.promise) await MathJax.startup.promise;
  const found = [];
  const page = document.documentElement;
  if (page.scrollWidth > page.clientWidth + 1)
    found.push(`overflow: ${page.scrollWidth} in ${page.clientWidth} px`);
  for (const image of document.images)
    if (!image.alt.trim() || image.alt.includes("_images/"))
      found.push(`image without alt text: ${image.src.slice(0, 80)}`);
  for (const broken of document.querySelectorAll("mjx-merror, [data-mjx-error]"))
    found.push(`broken formula: ${broken.textContent.slice(0, 80)}`);
  const tex =
    /\$[^\s$](?:[^$\n]*[^\s$])?\$|\\\(|\\\[|\\(?:begin|frac|sqrt|math\w+)(?![a-z])/;
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode;
    const hit = node.data.match(tex);
    if (hit && !node.parentElement.closest("script, style, code, pre, textarea"))
      found.push(`raw TeX: ${hit[0].slice(0, 60)}`);
  }
  return found;
}"""


class Quiet(SimpleHTTPRequestHandler):
    """Serve files without a line per request."""

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/favicon.ico":  # asked for by the browser, not by a page
            self.send_response(204)
            return self.end_headers()
        return super().do_GET()


@contextmanager
def serve(root: Path) -> Iterator[str]:
    """The address of a local server of `root`, for the time of a `with` block."""
    handler = functools.partial(Quiet, directory=str(root))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def chromium() -> str:
    """Why there is no browser, after trying to install one; empty if there is."""
    if not CHROMIUM.exists() and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(["apt-get", "update"], check=False, **quiet)
        install = ["apt-get", "install", "-y", "chromium"]
        subprocess.run(install, check=False, **quiet)
    return "" if CHROMIUM.exists() else f"{CHROMIUM} is missing"


def visit(browser, root: Path, base: str, wide: int, scheme: str, shots: Path | None):
    """Open every page of the site once and return its faults, one line each."""
    size = {"width": wide, "height": 900}
    context = browser.new_context(color_scheme=scheme, viewport=size)
    page, faults, log = context.new_page(), [], []
    page.on("pageerror", lambda error: log.append(f"page error: {error}"))
    page.on(
        "console",
        lambda m: log.append(f"console: {m.text}") if m.type == "error" else None,
    )
    page.on(
        "request",
        lambda r: (
            None
            if r.url.startswith((base, "data:", "blob:"))
            else log.append(f"request to {r.url}")
        ),
    )
    names = [p.relative_to(root).as_posix() for p in sorted(root.rglob("*.html"))]
    names = [name for name in names if not name.startswith("_")]
    for name in names:
        log.clear()
        page.goto(f"{base}/{name}", wait_until="load")
        page.wait_for_function("!document.querySelector('meta[http-equiv=Refresh]')")
        page.wait_for_load_state("networkidle")
        found = page.evaluate(LOOK)
        faults += [f"{name}: {fault}" for fault in dict.fromkeys(found + log)]
        if shots:
            shot = f"{scheme}-{wide}-{name.replace('/', '-')}.png"
            page.screenshot(path=str(shots / shot), full_page=True)
    context.close()
    return len(names), faults


def boxes(notebook: Path) -> list[str]:
    """The stored verdicts of a notebook, as `box` makes them comparable."""
    found = []
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            text = "".join(output.get("data", {}).get("text/markdown", ""))
            if '<div class="claim ' in text:
                found.append(box(re.sub(r"\$\$?.*?\$\$?", " ", text, flags=re.DOTALL)))
    return found


def box(text: str) -> str:
    """The words of a verdict, without tags, marks and formulas."""
    plain = html.unescape(re.sub(r"<[^>]*>", " ", text))
    return " ".join(re.findall(r"\w+", re.sub(r"[_*`\\]", " ", plain)))


@contextmanager
def lab(root: Path) -> Iterator[tuple[str, str]]:
    """A JupyterLab in `root` with its own settings: its address and its token."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token, home = secrets.token_hex(16), root / ".lab"
    # Cells out of sight must be in the page too: they hold verdicts to compare.
    for name, settings in {
        "notebook-extension/tracker": {"windowingMode": "none"},
        "apputils-extension/notification": {"fetchNews": "false"},
    }.items():
        file = home / f"settings/@jupyterlab/{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(settings), encoding="utf-8")
    env = os.environ | {
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "OMP_NUM_THREADS": "1",
    }
    options = [f"--ServerApp.port={port}", f"--IdentityProvider.token={token}"]
    options += [f"--ServerApp.root_dir={root}", "--no-browser", "--allow-root"]
    options += ["--ServerApp.port_retries=0"]
    log = (home / "log").open("w")
    command = [sys.executable, "-m", "jupyter", "lab", *options]
    process = subprocess.Popen(command, cwd=root, env=env, stdout=log, stderr=log)
    base = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{base}/api?token={token}", timeout=1).close()
                break
            except (urllib.error.URLError, OSError):
                if process.poll() is not None:
                    break
                time.sleep(0.5)
        yield base, token
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
        log.close()


def attached(base: str, token: str) -> None:
    """Wait until a kernel of the server is idle and talks to the page."""
    for _ in range(120):
        with urllib.request.urlopen(f"{base}/api/kernels?token={token}") as answer:
            kernels = json.load(answer)
        if any(k["execution_state"] == "idle" and k["connections"] for k in kernels):
            return
        time.sleep(0.5)
    raise TimeoutError("JupyterLab attached no kernel to the notebook in a minute")


def press_run_all(page) -> None:
    """Choose Run All Cells until a cell runs.

    JupyterLab drops the wish, or asks for a kernel, while it is still setting up.
    """
    runs = """() => [...document.querySelectorAll(".jp-InputPrompt")]
      .some((prompt) => /\\[[*\\d]/.test(prompt.innerText))"""
    asked = page.locator(".jp-Dialog button.jp-mod-accept")
    for _ in range(10):
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        for _ in range(10):
            page.wait_for_timeout(1000)
            if page.evaluate(runs):
                return
            if asked.count():
                asked.first.click()
    raise TimeoutError("JupyterLab did not run the notebook in ten tries")


def run_all(browser, base: str, token: str, path: str, shots: Path | None):
    """Run a notebook through the menu; its verdicts and errors as shown."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{base}/lab/tree/{path}?token={token}")
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
    attached(base, token)
    press_run_all(page)
    done = """() => {
      const red = '[data-mime-type="application/vnd.jupyter.stderr"]';
      if (document.querySelector(red)) return true;  // an error ends the run
      const cells = [...document.querySelectorAll(".jp-CodeCell")];
      const code = cells.filter((c) => c.querySelector(".cm-content").innerText.trim());
      const marks = code.map((c) => c.querySelector(".jp-InputPrompt").innerText);
      return marks.length && marks.every((mark) => /\\[\\d+\\]/.test(mark));
    }"""
    page.wait_for_function(done, timeout=300_000, polling=500)
    page.wait_for_timeout(3000)  # outputs and their formulas are drawn last
    shown = page.evaluate(
        """() => [...document.querySelectorAll(".jp-OutputArea .claim")].map((node) => {
          const copy = node.cloneNode(true);
          copy.querySelectorAll("mjx-container, .MathJax").forEach((m) => m.remove());
          return copy.textContent;
        })"""
    )
    broken = page.evaluate(
        """() => [...document.querySelectorAll(
          '[data-mime-type="application/vnd.jupyter.stderr"]'
        )].map((node) => node.innerText.trim().slice(-200))"""
    )
    if shots:
        page.screenshot(path=str(shots / "lab.png"))
    return [box(text) for text in shown], broken


def run_chapter(browser, chapter: Path, shots: Path | None) -> tuple[int, list[str]]:
    """Run one chapter in JupyterLab; the number of verdicts and the faults."""
    stored = boxes(chapter)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        copy = root / "chapters" / chapter.parent.name / chapter.name
        shutil.copytree(chapter.parents[1], root / "chapters")
        notebook = json.loads(copy.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                cell["outputs"], cell["execution_count"] = [], None
        copy.write_text(json.dumps(notebook), encoding="utf-8")
        path = copy.relative_to(root).as_posix()
        with lab(root) as (base, token):
            shown, broken = run_all(browser, base, token, path, shots)
    faults = [f"{chapter}: {text}" for text in broken]
    if not stored:
        faults.append(f"{chapter}: no stored verdicts to compare with")
    if len(shown) != len(stored):
        faults.append(f"{chapter}: {len(stored)} verdicts stored, {len(shown)} shown")
    pairs = zip(stored, shown, strict=False)
    faults += [f"{chapter}: stored {a!r}, shown {b!r}" for a, b in pairs if a != b]
    return len(stored), faults


def report(stage: str, count: str, start: float, faults: list[str]) -> int:
    """Print the summary line of a stage and its faults; the number of faults."""
    state = f"FAILED, faults: {len(faults)}" if faults else "ok"
    print(f"{stage}: {count}, {time.perf_counter() - start:.0f} s: {state}", flush=True)
    for fault in faults:
        print("  " + fault, flush=True)
    return len(faults)


def main() -> int:
    """Run the stages; 0 if all is well or there is no browser outside CI."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--site", type=Path, default=Path("_build/html"))
    first = Path("chapters/gaussian/painters.ipynb")
    parser.add_argument("--lab", type=Path, default=first)
    parser.add_argument("--shots", type=Path)
    options = parser.parse_args()
    missing = chromium()
    if missing:
        print(f"browser: {'FAILED' if os.environ.get('CI') else 'skipped'}, {missing}")
        return 1 if os.environ.get("CI") else 0
    from playwright.sync_api import sync_playwright

    root, shots, bad = options.site.resolve(), options.shots, 0
    if shots:
        shots.mkdir(parents=True, exist_ok=True)
    if not root.is_dir():
        print(f"browser: FAILED, {root} is not there; build the book first")
        return 1
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        with serve(root) as address:
            for base, wide, scheme in (
                (address, 1280, "light"),
                (root.as_uri(), 390, "dark"),
            ):
                start = time.perf_counter()
                pages, faults = visit(browser, root, base, wide, scheme, shots)
                stage = f"{base.split(':')[0]}, {scheme}, {wide} px"
                bad += report(stage, f"{pages} pages", start, faults)
        start = time.perf_counter()
        boxes_seen, faults = run_chapter(browser, options.lab.resolve(), shots)
        bad += report("JupyterLab", f"{boxes_seen} verdicts", start, faults)
        browser.close()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
