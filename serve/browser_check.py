"""Tests the page of likeness serve in a headless browser.

    python serve/browser_check.py [--shots DIR] [--likeness PROGRAM]

It starts the server with an embedded model and a new gallery. At the screen widths of a
phone, by touch, and of a desktop computer, by mouse, it compares drawings, shows where they
match, enrolls two classes, identifies other drawings and deletes a class; then it enters the
token of a server that requires one. It checks the texts of the page, that there are no requests to
other hosts, that the page does not scroll horizontally, and that the browser logs no
errors. With --shots it saves screenshots.

It needs Playwright (pip install playwright) and a Chromium: the one that
CHROMIUM names, the system's (apt-get install chromium), or Playwright's own
(playwright install chromium); and Go, to build the program that --likeness does
not name.
"""

import argparse
import contextlib
import math
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

from playwright.sync_api import expect, sync_playwright

SCREENS = {"phone": (390, 844), "desktop": (1280, 900)}
TOKEN = "token of the browser check"


def arc(x, y, r, begin=0.0, end=2 * math.pi, points=24):
    return [(x + r * math.cos(begin + (end - begin) * i / points), y + r * math.sin(begin + (end - begin) * i / points)) for i in range(points + 1)]


# Drawings as lists of strokes; points have coordinates from 0 to 1.
CROSS = [[(0.5, 0.2), (0.5, 0.8)], [(0.2, 0.5), (0.8, 0.5)]]
SMALL_CROSS = [[(0.6, 0.45), (0.6, 0.85)], [(0.4, 0.66), (0.82, 0.64)]]
RING = [arc(0.5, 0.5, 0.3)]
SMALL_RING = [arc(0.45, 0.4, 0.2, 0.5, 0.5 + 2 * math.pi)]
ZIGZAG = [[(0.2, 0.2), (0.8, 0.3), (0.2, 0.5), (0.8, 0.65), (0.25, 0.85)]]


def png(strokes, side=105, width=2.2):
    """Returns a drawing as a PNG file, black on white."""

    def near(x, y):
        for stroke in strokes:
            for (ax, ay), (bx, by) in zip(stroke, stroke[1:]):
                ax, ay, bx, by = ax * side, ay * side, bx * side, by * side
                along = ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / max((bx - ax) ** 2 + (by - ay) ** 2, 1e-9)
                along = min(1.0, max(0.0, along))
                if math.hypot(x - ax - along * (bx - ax), y - ay - along * (by - ay)) < width:
                    return True
        return False

    rows = b"".join(b"\0" + bytes(0 if near(x, y) else 255 for x in range(side)) for y in range(side))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def picture(name, strokes):
    return {"name": name, "mimeType": "image/png", "buffer": png(strokes)}


@contextlib.contextmanager
def serving(program, folder, *arguments, token=""):
    """Starts a server on a free port and yields its address."""
    environment = {**os.environ, "LIKENESS_TOKEN": token}
    command = [str(program), "serve", "--model", "omniglot", "--address", "127.0.0.1:0", *arguments]
    with open(folder / "log", "ab") as log:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment, text=True)
    try:
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        code = server.wait(timeout=30)
        server.stdout.close()
        if code != 0:
            raise SystemExit(f"the server ended with the code {code}:\n{(folder / 'log').read_text()}")


class Screen:
    """A page on a screen of a device, with the problems that were found."""

    def __init__(self, browser, name, address, shots):
        self.name, self.address, self.shots = name, address, shots
        width, height = SCREENS[name]
        self.touch = name == "phone"
        self.context = browser.new_context(viewport={"width": width, "height": height}, has_touch=self.touch, is_mobile=self.touch)
        self.page = self.context.new_page()
        self.protocol = self.context.new_cdp_session(self.page)
        self.requests, self.messages, self.problems = [], [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(str(error)))
        self.page.goto(address)

    def draw(self, pad, strokes):
        """Draws on a pad with the mouse or by touch."""
        canvas = self.page.locator(f"{pad} canvas")
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        for stroke in strokes:
            points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
            if self.touch:
                for i, (x, y) in enumerate(points):
                    self.protocol.send("Input.dispatchTouchEvent", {"type": "touchMove" if i else "touchStart", "touchPoints": [{"x": x, "y": y}]})
                self.protocol.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
            else:
                self.page.mouse.move(*points[0])
                self.page.mouse.down()
                for x, y in points[1:]:
                    self.page.mouse.move(x, y, steps=4)
                self.page.mouse.up()

    def choose(self, pad, name, strokes):
        self.page.locator(f"{pad} input[type=file]").set_input_files(picture(name, strokes))

    def says(self, selector, text):
        expect(self.page.locator(selector)).to_contain_text(text, timeout=20000)

    def shot(self, what, selector=None):
        """Checks the layout and saves a screenshot."""
        if (wide := self.page.evaluate("document.documentElement.scrollWidth")) > SCREENS[self.name][0]:
            self.problems.append(f"{what}: the page is {wide} pixels wide")
        for element in self.page.evaluate(CUT):
            self.problems.append(f"{what}: cut off: {element}")
        for pair in self.page.evaluate(OVERLAPS):
            self.problems.append(f"{what}: overlapping texts: {pair}")
        if self.shots:
            clip = None
            if selector:
                self.page.evaluate("scrollTo(0, 0)")
                box = self.page.locator(selector).bounding_box()
                clip = {"x": box["x"] - 16, "y": box["y"] + 1, "width": box["width"] + 32, "height": box["height"] - 1}
            self.page.screenshot(path=self.shots / f"{self.name}-{what}.png", full_page=True, clip=clip)

    def end(self, expected=r"(?!)"):
        """Returns the problems; logged messages that match are expected."""
        outside = [url for url in self.requests if not url.startswith(self.address)]
        if outside:
            self.problems.append(f"requests to other hosts: {outside}")
        if messages := [text for text in self.messages if not re.search(expected, text)]:
            self.problems.append(f"the browser logged {messages}")
        self.context.close()
        return [f"{self.name}: {problem}" for problem in self.problems]


# Elements whose content is wider than they are.
CUT = """() => [...document.querySelectorAll('body *')]
  .filter(e => !(e instanceof SVGElement) && e.tagName !== 'INPUT' && e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 && getComputedStyle(e).display !== 'inline')
  .map(e => e.tagName + ' ' + e.className + ' ' + e.textContent.slice(0, 40))"""

# Overlapping texts in a row or at the scale.
OVERLAPS = """() => {
  const found = [];
  for (const row of document.querySelectorAll('#bars li, #candidates .names, #classes li, .scale')) {
    const boxes = [...row.children].filter(e => e.textContent.trim()).map(e => [e.textContent, e.getBoundingClientRect()]).filter(([, b]) => b.width > 0);
    boxes.forEach(([a, one], i) => boxes.slice(i + 1).forEach(([b, other]) => {
      if (Math.min(one.right, other.right) - Math.max(one.left, other.left) > 1 && Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top) > 4) found.push(a + ' | ' + b);
    }));
  }
  return found;
}"""


def use(screen):
    """Compares, enrolls, identifies and deletes."""
    page = screen.page
    expect(page.locator("#with-gallery")).to_be_visible()
    screen.shot("empty")
    screen.choose("#a", "cross.png", CROSS)
    screen.choose("#b", "another.png", SMALL_CROSS)
    screen.says("#compared .verdict", "The same")
    expect(page.locator("#bars li")).to_have_count(10)
    screen.shot("same", "#compare")
    screen.draw("#b", SMALL_RING)
    page.locator("#compare-now").click()
    screen.says("#compared .verdict", "Different")
    screen.says(".at-threshold", "threshold 0.")
    page.locator("#explain-now").click()
    screen.says("#explained .parts", "contribution to the cosine similarity")
    colors = page.evaluate("""() => [...document.querySelectorAll('.heats canvas')].map((canvas) => {
      const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
      return new Set(Array.from({length: pixels.length / 4}, (_, i) => pixels.slice(4 * i, 4 * i + 3).join())).size;
    })""")
    if min(colors) < 50:
        raise AssertionError(f"the heat maps have {colors} colors, expected at least 50")
    screen.shot("compare", "#compare")

    for name, strokes in (("cross", CROSS), ("ring", RING)):
        screen.draw("#example", strokes)
        page.locator("#class").fill(name)
        page.locator("#enroll button.main").click()
        screen.says("#enroll .done", f"{name} now has 1 example.")
    expect(page.locator("#classes li")).to_have_count(2)
    screen.draw("#query", SMALL_CROSS)
    page.locator("#identify button.main").click()
    screen.says("#identified .verdict", "It is cross")
    expect(page.locator("#candidates li")).to_have_count(2)
    screen.says("#candidates li:first-child", "cross")
    screen.shot("identify", "#known")
    page.locator("#query").get_by_role("button", name="Clear").click()
    screen.draw("#query", ZIGZAG)
    page.locator("#identify button.main").click()
    screen.says("#identified .verdict", "Unknown")
    screen.shot("unknown")

    delete = page.get_by_label("Delete ring")
    delete.click()
    expect(page.locator("#classes li")).to_have_count(2)
    delete.click()
    expect(page.locator("#classes li")).to_have_count(1)
    screen.says("#classes .note", "1 class, 1 example.")


def give_token(screen):
    """Enters a wrong token and then the right one at a server without a gallery."""
    page = screen.page
    screen.says("#known > .message", "Enter the server's token")
    screen.shot("token")
    for token, seen in (("a wrong token", "found a wrong token"), (TOKEN, None)):
        page.locator("#token-text").fill(token)
        page.locator("#token button").click()
        if seen:
            screen.says("#known > .message", seen)
    screen.says("#no-gallery", "likeness serve --gallery FILE")
    expect(page.locator("#token")).to_be_hidden()
    page.locator("#a input[type=file]").set_input_files({"name": "text.png", "mimeType": "image/png", "buffer": b"no image"})
    screen.draw("#b", CROSS)
    page.locator("#compare-now").click()
    screen.says("#compare .result > .message", "a: not a readable image")
    screen.shot("error")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--likeness", type=pathlib.Path, help="the likeness program; built if not given")
    parser.add_argument("--shots", type=pathlib.Path, help="a folder for screenshots")
    arguments = parser.parse_args()
    if arguments.shots:
        arguments.shots.mkdir(parents=True, exist_ok=True)
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    problems = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        folder = pathlib.Path(folder)
        program = arguments.likeness
        if program is None:
            program = folder / "likeness"
            subprocess.run(["go", "build", "-o", program, "./cmd/likeness"], check=True, cwd=pathlib.Path(__file__).parents[1])
        browser = playwright.chromium.launch(executable_path=chromium)
        for name in SCREENS:
            with serving(program, folder, "--gallery", str(folder / f"{name}.gallery")) as address:
                screen = Screen(browser, name, address, arguments.shots)
                use(screen)
                problems += screen.end()
            with serving(program, folder, token=TOKEN) as address:
                screen = Screen(browser, name, address, arguments.shots)
                give_token(screen)
                problems += screen.end(r"Failed to load resource: the server responded with a status of (401|409|422)")
            print(f"{name}: {SCREENS[name][0]} pixels wide")
        browser.close()
    for problem in problems:
        print(problem, file=sys.stderr)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
