"""Checks report.html in a headless browser.

    python report/browser_check.py [--shots DIR] RUN/report.html ...

At the screen widths of a phone and of a desktop computer it checks that the page
makes no request and does not scroll horizontally, that all images decode, and that
the text of the charts is complete, large enough, inside its chart and does not
overlap other text. With --shots it saves screenshots.

It needs Playwright (pip install playwright) and a Chromium: the one that
CHROMIUM names, the system's (apt-get install chromium), or Playwright's own
(playwright install chromium).
"""

import argparse
import os
import pathlib
import shutil
import sys

from playwright.sync_api import sync_playwright

SCREENS = {"phone": (390, 844), "desktop": (1280, 900)}

# The minimum font size in pixels of the screen.
MIN_FONT_SIZE = 9

# The text of each chart by its CSS selector. Legends and tick labels differ between
# runs and are not listed.
TEXTS = {
    "#learning svg": ["Learning curves", "loss", "learning rate", "epoch"],
    "#verification figure:nth-of-type(1) svg": ["Distances by the trained network", "distance", "% of the pairs", "same", "different"],
    "#verification figure:nth-of-type(2) svg": ["different pairs accepted, %", "same pairs accepted, %", "chance, area 50 %"],
    "#maps figure:nth-of-type(1) svg": ["Principal components (PCA)"],
    "#maps figure:nth-of-type(2) svg": ["Neighborhoods (t-SNE)", "neither axis has a unit"],
}

# Every text of every chart with its bounding box and that of its chart.
BOXES = """() => [...document.querySelectorAll('svg')].map(svg => {
  const plain = r => ({left: r.left, right: r.right, top: r.top, bottom: r.bottom});
  return {chart: plain(svg.getBoundingClientRect()), texts: [...svg.querySelectorAll('text')]
    .filter(text => text.textContent.trim())
    .map(text => ({text: text.textContent, size: parseFloat(getComputedStyle(text).fontSize) * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width,
                   ...plain(text.getBoundingClientRect())}))};
})"""

# The sources of images that the browser cannot decode, including those in charts.
BROKEN = """async () => {
  const sources = [...document.querySelectorAll('img')].map(i => i.src)
    .concat([...document.querySelectorAll('image')].map(i => i.href.baseVal));
  const broken = [];
  for (const source of sources) {
    const image = new Image();
    image.src = source;
    try { await image.decode(); } catch (_) { broken.push(source.slice(0, 60)); }
  }
  return [sources.length, broken];
}"""

# Elements whose content is wider than they are, except those that scroll.
CUT = """() => [...document.querySelectorAll('body *')]
  .filter(e => !(e instanceof SVGElement) && e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 && getComputedStyle(e).display !== 'inline')
  .map(e => e.tagName + ' ' + e.textContent.slice(0, 40))"""


def check_charts(page):
    """Yields the problems with the text of the charts."""
    for selector, texts in TEXTS.items():
        for chart in page.query_selector_all(selector):
            found = [text.text_content() for text in chart.query_selector_all("text")]
            for text in texts:
                if text not in found:
                    yield f"{selector} lacks {text!r}: found {found}"
    for chart in page.evaluate(BOXES):
        box, texts = chart["chart"], chart["texts"]
        for i, a in enumerate(texts):
            if a["size"] < MIN_FONT_SIZE:
                yield f"{a['text']!r} has a font size of {a['size']:.1f} pixels, expected at least {MIN_FONT_SIZE}"
            if a["left"] < box["left"] - 1 or a["right"] > box["right"] + 1 or a["top"] < box["top"] - 1 or a["bottom"] > box["bottom"] + 1:
                yield f"{a['text']!r} is partly outside its chart"
            for b in texts[:i]:
                across = min(a["right"], b["right"]) - max(a["left"], b["left"])
                down = min(a["bottom"], b["bottom"]) - max(a["top"], b["top"])
                # Boxes include space above and below the characters, which may overlap.
                if across > 1 and down > 4:
                    yield f"{a['text']!r} overlaps {b['text']!r}"


def check(browser, path, shots):
    """Yields the problems with the page."""
    address = path.resolve().as_uri()
    for name, (width, height) in SCREENS.items():
        page = browser.new_page(viewport={"width": width, "height": height})
        requests, messages = [], []
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.goto(address)
        for problem in check_charts(page):
            yield f"{name}: {problem}"
        pictures = len(list((path.parent / "plots").glob("*.png")))
        if (charts := len(page.query_selector_all("svg"))) != pictures:
            yield f"{name}: found {charts} charts and {pictures} PNG files in plots"
        if (wide := page.evaluate("document.documentElement.scrollWidth")) > width:
            yield f"{name}: the page is {wide} pixels wide"
        for element in page.evaluate(CUT):
            yield f"{name}: cut off: {element}"
        count, broken = page.evaluate(BROKEN)
        if broken:
            yield f"{name}: of {count} images {len(broken)} do not decode: {broken[:3]}"
        outside = [url for url in requests if url != address and not url.startswith("data:")]
        if outside:
            yield f"{name}: found requests: {outside}"
        if messages:
            yield f"{name}: the browser logged {messages}"
        if shots:
            folder = shots / path.resolve().parent.name
            folder.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=folder / f"{name}.png", full_page=True)
        page.close()
        print(f"{path}: {name}, {width} pixels wide, {count} images")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="+", type=pathlib.Path, help="report.html of a run folder")
    parser.add_argument("--shots", type=pathlib.Path, help="a folder for screenshots")
    arguments = parser.parse_args()
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    problems = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        for path in arguments.pages:
            problems += [f"{path}: {problem}" for problem in check(browser, path, arguments.shots)]
        browser.close()
    for problem in problems:
        print(problem, file=sys.stderr)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
