"""A reader uses the report page in headless Chromium: looks, points, toggles, changes axes and colours.

usage: test_page.py FIXTURE [--keep FOLDER]   FIXTURE writes a report on made-up runs
"""
import base64
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

try:
    from selenium import webdriver
    from selenium.common.exceptions import ElementClickInterceptedException
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import Select
except ImportError:
    print("skipped: python3-selenium is not installed")
    sys.exit(77)

CHARTS = ["chart-sizes", "chart-curves", "chart-fits", "chart-residuals", "chart-gains", "chart-speed"]
LARGEST_PAGE = 5_000_000  # bytes, for 24 runs of 10,000 steps


def browser():
    for program in ("chromium", "chromedriver"):
        if shutil.which(program) is None:
            print(f"skipped: {program} is not installed")
            sys.exit(77)
    options = Options()
    options.binary_location = shutil.which("chromium")
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                 "--window-size=1280,1000", "--force-device-scale-factor=1"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)


def expect(holds, what):
    if not holds:
        raise AssertionError(what)


def chart(page, name, words):
    return page.execute_script(f"const chart = Chart.getChart('{name}'); return {words};")


def click(page, element):
    for last in (False, False, True):  # on a slow machine the page may still be moving
        page.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
        try:
            return element.click()
        except ElementClickInterceptedException:
            if last:
                raise
            time.sleep(1)


def every_chart_is_drawn(page, names=CHARTS):
    for name in names:
        expect(chart(page, name, "chart && chart.data.datasets.length > 0"), f"{name} is empty")
        painted = page.execute_script(
            "const chart = document.getElementById(arguments[0]), copy = new OffscreenCanvas(chart.width, chart.height);"
            "const paper = copy.getContext('2d', {willReadFrequently: true}); paper.drawImage(chart, 0, 0);"
            "const bytes = paper.getImageData(0, 0, copy.width, copy.height).data;"
            "let n = 0; for (let i = 3; i < bytes.length; i += 4) n += bytes[i] > 0; return n;", name)
        expect(painted > 1000, f"{name} has {painted} painted points")


def pointing_shows_the_numbers(page):
    canvas = page.find_element(By.ID, "chart-sizes")
    page.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", canvas)
    place = chart(page, "chart-sizes", "(({x, y}) => ({x, y}))(chart.getDatasetMeta(0).data[1])")
    box = canvas.size
    ActionChains(page).move_to_element_with_offset(
        canvas, int(place["x"] - box["width"] / 2), int(place["y"] - box["height"] / 2)).perform()
    time.sleep(0.2)
    lines = chart(page, "chart-sizes", "chart.tooltip.opacity > 0 ? chart.tooltip.body.flatMap(b => b.lines) : []")
    expect(lines and "nats/token" in lines[0], f"pointing at a mark shows {lines}")


def the_keyboard_reads_points(page):
    page.execute_script("document.getElementById('chart-sizes').focus()")
    ActionChains(page).send_keys(Keys.ARROW_RIGHT).perform()
    said = page.find_element(By.ID, "live").get_attribute("textContent")
    expect("nats/token" in said, f"an arrow key on a chart says {said!r}")


def a_run_can_be_hidden(page):
    Select(page.find_element(By.ID, "curves-which")).select_by_value("training")
    before = chart(page, "chart-curves", "chart.data.datasets.length")
    button = page.find_element(By.CSS_SELECTOR, "#legend-curves button")
    click(page, button)
    expect(button.get_attribute("aria-pressed") == "false", "a hidden run's button is not pressed")
    expect(chart(page, "chart-curves", "chart.data.datasets.length") < before, "hiding a run takes no curve away")
    click(page, button)
    expect(chart(page, "chart-curves", "chart.data.datasets.length") == before, "showing it again brings it back")
    Select(page.find_element(By.ID, "curves-which")).select_by_value("seeds")
    expect(chart(page, "chart-curves", "chart.data.datasets.some(set => set.fill)"), "seeds have no band")


def axes_can_be_logarithmic(page):
    for axis, box in (("x", "curves-log-x"), ("y", "curves-log-y")):
        toggle = page.find_element(By.ID, box)
        before = chart(page, "chart-curves", f"chart.scales.{axis}.type")
        click(page, toggle)
        after = chart(page, "chart-curves", f"chart.scales.{axis}.type")
        expect({before, after} == {"linear", "logarithmic"}, f"{axis}: {before} became {after}")
    for which in ("step", "flops", "hours", "tokens"):
        Select(page.find_element(By.ID, "curves-x")).select_by_value(which)
        expect(chart(page, "chart-curves", "chart.data.datasets[0].data.length > 10"), f"no curve against {which}")
    for which in ("parameters", "training_flops", "non_embedding_parameters"):
        Select(page.find_element(By.ID, "fits-x")).select_by_value(which)
        expect(chart(page, "chart-fits", "chart.data.datasets.length > 3"), f"no fit against {which}")


def contrast(page, selector):
    """The contrast of an element's text with what is behind it [WCAG 2.1, 1.4.3]."""
    return page.execute_script("""
      // [r, g, b, alpha] of "rgb(1, 2, 3)", "rgba(1, 2, 3, .5)" and "color(srgb .1 .2 .3 / .5)"
      const rgb = text => {
        const n = (text.match(/[\\d.]+/g) || []).map(Number), unit = text.startsWith("color");
        return [...n.slice(0, 3).map(v => unit ? 255 * v : v), n.length > 3 ? n[3] : 1];
      };
      const over = (top, under) => [0, 1, 2].map(i => top[i] * top[3] + under[i] * (1 - top[3]));
      const behind = element => element ? over(rgb(getComputedStyle(element).backgroundColor), behind(element.parentElement)) : [255, 255, 255];
      const level = c => c.slice(0, 3).map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
                          .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
      return [...document.querySelectorAll(arguments[0])].map(element => {
        const a = level(rgb(getComputedStyle(element).color)), b = level(behind(element));
        return (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
      });""", selector)


def text_can_be_read(page, theme):
    for selector in ("p", "td", "th", "figcaption", "caption", ".badge", "button", "select", "label", "nav a", "dt", "dd"):
        worst = min(contrast(page, selector) or [21])
        expect(worst >= 4.5, f"{theme}: {selector} has a contrast of {worst:.2f}, less than 4.5")


def colours_can_be_dark(page):
    paper = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    click(page, page.find_element(By.ID, "theme"))
    expect(page.execute_script("return document.documentElement.dataset.theme") == "dark", "the theme is not dark")
    expect(page.execute_script("return getComputedStyle(document.body).backgroundColor") != paper, "the paper is as before")
    text_can_be_read(page, "dark")


def the_page_is_accessible(page):
    faults = page.execute_script("""
      const faults = [], all = words => [...document.querySelectorAll(words)];
      if (!document.documentElement.lang) faults.push("no language");
      if (!document.title) faults.push("no title");
      if (all("h1").length !== 1) faults.push("not one h1");
      if (all("main").length !== 1) faults.push("not one main");
      const ids = all("[id]").map(e => e.id), twice = ids.filter((id, i) => ids.indexOf(id) !== i);
      if (twice.length) faults.push("ids twice: " + [...new Set(twice)].join(" "));
      for (const e of all("canvas, svg.forest")) if (e.getAttribute("role") !== "img" || !e.getAttribute("aria-label")) faults.push("a picture without words: " + e.id);
      for (const e of all("button")) if (!(e.textContent.trim() || e.getAttribute("aria-label"))) faults.push("a button without a name");
      for (const e of all("select, input")) if (!e.closest("label") && !e.getAttribute("aria-label")) faults.push("a control without a label: " + e.id);
      for (const e of all("table")) if (!e.caption || !e.querySelector("th[scope]")) faults.push("a table without caption or scopes: " + e.id);
      for (const e of all("section")) if (!document.getElementById(e.getAttribute("aria-labelledby"))) faults.push("a section without a heading: " + e.id);
      for (const e of all("a[href^='#']")) if (!document.getElementById(decodeURIComponent(e.getAttribute("href").slice(1)))) faults.push("a link to nowhere: " + e.getAttribute("href"));
      for (const e of all("figure")) if (!e.querySelector("figcaption")) faults.push("a figure without caption");
      for (const e of all("figure canvas")) if (!e.closest("figure").querySelector("a[href^='tables/']")) faults.push("a chart without its numbers: " + e.id);
      let level = 0;
      for (const e of all("h1, h2, h3")) { const now = +e.tagName[1]; if (now > level + 1) faults.push("a heading skips a level: " + e.textContent); level = now; }
      return faults;""")
    expect(not faults, "; ".join(faults))


def numbers_have_their_files(page, folder):
    links = page.execute_script("return [...document.querySelectorAll('a.file')].map(a => a.getAttribute('href'))")
    for link in set(links):
        expect(os.path.exists(os.path.join(folder, link)), f"the page names {link}, which is not there")


def nothing_is_asked_of_a_network(page):
    for entry in page.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            url = message["params"]["request"]["url"]
            expect(url.startswith(("file:", "data:", "about:", "chrome:")), f"the page asks for {url}")
    console = [entry["message"] for entry in page.get_log("browser")]
    expect(not console, f"the console says {console}")


def the_page_prints(page, keep):
    """As PDF, on some sheets; every chart is there as soon as the print event has drawn it anew."""
    blank = page.execute_script("""
      dispatchEvent(new Event("beforeprint"));
      const paper = document.documentElement.dataset.theme, blank = arguments[0].filter(name => {
        const chart = document.getElementById(name), bytes = chart.getContext("2d").getImageData(0, 0, chart.width, chart.height).data;
        return bytes.filter((value, i) => i % 4 === 3 && value > 0).length <= 1000;
      });
      dispatchEvent(new Event("afterprint"));
      return paper === "light" ? blank : ["light colours"];""", CHARTS)
    expect(not blank, f"printed without {', '.join(blank)}")
    pdf = base64.b64decode(page.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"])
    if keep:
        with open(os.path.join(keep, "report.pdf"), "wb") as file:
            file.write(pdf)
    pages = len(re.findall(rb"/Type\s*/Page\b", pdf))
    expect(1 < pages < 60, f"the page prints on {pages} sheets")


def small_windows_do_not_scroll_sideways(page):
    page.set_window_size(480, 900)
    wide = page.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    expect(wide <= 1, f"at 480 pixels the page is {wide} pixels too wide")


def pages_of_few_runs_are_quiet(page, fixture, folder):
    for runs in (0, 1, 3):
        subprocess.run([fixture, folder, "50", str(runs)], check=True, stdout=subprocess.DEVNULL)
        page.get("file://" + os.path.join(folder, "report.html"))
        expect(page.find_elements(By.TAG_NAME, "h2"), f"the page of {runs} runs has no section")
        the_page_is_accessible(page)
        nothing_is_asked_of_a_network(page)


def the_page_stands(page, folder):
    the_page_is_accessible(page)
    numbers_have_their_files(page, folder)
    nothing_is_asked_of_a_network(page)


def isoflop_profiles_are_drawn(page, fixture, folder):
    subprocess.run([fixture, folder, "isoflop"], check=True, stdout=subprocess.DEVNULL)
    page.get("file://" + os.path.join(folder, "report.html"))
    every_chart_is_drawn(page, ["chart-isoflop", "chart-optima"])
    shown = "chart.data.datasets.filter(set => !set.helper).map(set => set.data.map(point => point.y))"
    first = chart(page, "chart-isoflop", shown)
    expect([len(points) for points in first] == [10] * 4, f"four budgets of ten sizes are shown as {first}")
    expect(chart(page, "chart-optima", shown + ".map(points => points.length)") == [4, 4], "two arms have no four optima each")
    Select(page.find_element(By.ID, "isoflop-arm")).select_by_visible_text("meta_state")
    expect(chart(page, "chart-isoflop", shown) != first, "another arm shows the same profiles")
    optima = chart(page, "chart-optima", shown)
    Select(page.find_element(By.ID, "isoflop-x")).select_by_value("parameters")
    expect(chart(page, "chart-optima", shown) != optima, "all parameters have the optima of non-embedding ones")
    page.execute_script("document.getElementById('chart-optima').focus()")
    page.switch_to.active_element.send_keys(Keys.ARROW_DOWN)
    expect("FLOPs" in page.find_element(By.ID, "live").get_attribute("textContent"), "the keyboard reads no optimum")
    words = chart(page, "chart-optima", """[true, false].map(known => chart.options.plugins.tooltip.callbacks.label(
        {dataset: {label: "arm"}, parsed: {y: 5}, raw: {low: null, high: null, known, loss: 3}}))""")
    expect(["unbounded, unbounded" in line for line in words] == [True, False],
           f"an interval unbounded on both sides, and none, are shown as {words}")
    the_page_stands(page, folder)


def laws_are_drawn(page, fixture, folder):
    subprocess.run([fixture, folder, "laws"], check=True, stdout=subprocess.DEVNULL)
    page.get("file://" + os.path.join(folder, "report.html"))
    every_chart_is_drawn(page, ["chart-laws"])
    cells = "chart.data.datasets.filter(set => !set.helper).map(set => set.data.length)"
    expect(chart(page, "chart-laws", cells) == [4] * 12, "two arms of six sizes at four lengths are not all shown")
    shown = "chart.data.datasets.map(set => set.data.map(point => point.y))"
    bands = "chart.data.datasets.filter(set => set.fill && set.data.length).length"
    alone, own = chart(page, "chart-laws", shown), page.find_element(By.ID, "laws-words").text
    expect(chart(page, "chart-laws", bands) == 12, "an arm's own law has no band")
    Select(page.find_element(By.ID, "laws-law")).select_by_value("joint-meta_state")
    expect(chart(page, "chart-laws", shown) != alone and chart(page, "chart-laws", bands) == 0, "the joint law is drawn as the arms' own")
    words = page.find_element(By.ID, "laws-words").text
    expect(words != own and "A of meta_state is 0." in words, f"the shift of the joint law is said as {words!r}")
    buttons = page.find_elements(By.CSS_SELECTOR, "#legend-laws button")
    expect([button.text for button in buttons][:3] == ["transformer", "meta_state", "1M"], "the legend lacks arms or sizes")
    for button, left in ((buttons[0], 6), (buttons[2], 5)):
        click(page, button)
        expect(button.get_attribute("aria-pressed") == "false", "a hidden arm's button is not pressed")
        expect(len(chart(page, "chart-laws", cells)) == left, "hiding an arm or a size takes no curves away")
    page.execute_script("document.getElementById('chart-laws').focus()")
    page.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    said = page.find_element(By.ID, "live").get_attribute("textContent")
    expect("meta_state 3M" in said and "by the law, 2 seeds" in said, f"the keyboard reads {said!r}")
    the_page_stands(page, folder)


def probes_are_drawn(page, fixture, folder):
    subprocess.run([fixture, folder, "probes"], check=True, stdout=subprocess.DEVNULL)
    page.get("file://" + os.path.join(folder, "report.html"))
    every_chart_is_drawn(page, ["chart-probes"])
    shown = "chart.data.datasets.filter(set => !set.helper).map(set => set.data.map(point => point.x))"
    expect(chart(page, "chart-probes", "chart.data.datasets.some(set => set.label === 'uniform guess' && set.borderDash.length)"), "no level of a guess")
    for task, against, points in (("s3", "length", [16, 32, 64]), ("s3", "layers", [1, 2]), ("mqar", "pairs", [4, 8]),
                                  ("mqar", "length", [64, 128, 256])):
        Select(page.find_element(By.ID, "probes-task")).select_by_value(task)
        Select(page.find_element(By.ID, "probes-x")).select_by_value(against)
        lines = chart(page, "chart-probes", shown)
        expect(lines == [points] * 3, f"{task} against {against}: three arms are shown as {lines}")
    held = Select(page.find_element(By.ID, "probes-held"))
    expect(len(held.options) == 3, "three models of mqar are not to be chosen from")
    before = chart(page, "chart-probes", "chart.data.datasets[2].data.map(point => point.y)")
    held.select_by_index(2)
    expect(chart(page, "chart-probes", "chart.data.datasets[2].data.map(point => point.y)") != before, "another model has the same line")
    Select(page.find_element(By.ID, "probes-task")).select_by_value("s3")
    words = page.find_element(By.ID, "probes-depths").text
    expect("transformer none of 1, 2" in words and "meta_state 2" in words, f"the depths are said as {words!r}")
    page.execute_script("document.getElementById('chart-probes').focus()")
    page.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    expect(" tokens, 2 seeds" in page.find_element(By.ID, "live").get_attribute("textContent"), "the keyboard reads no accuracy")
    the_page_stands(page, folder)


def least_layers_are_drawn(page, fixture, folder):
    subprocess.run([fixture, folder, "depths"], check=True, stdout=subprocess.DEVNULL)
    page.get("file://" + os.path.join(folder, "report.html"))
    Select(page.find_element(By.ID, "probes-x")).select_by_value("depth")
    Select(page.find_element(By.ID, "probes-held")).select_by_value("width 64 (heads of 32)")
    points = "chart.data.datasets.find(set => set.label === '{}').data.map(point => [point.trained, point.y, point.solved])"
    expect(chart(page, "chart-probes", points.format("meta_state")) == [[8, 1, True], [16, 2, True]], "Meta-State's least layers are others")
    expect(chart(page, "chart-probes", points.format("rwkv7")) == [[8, 2, True], [16, 4, False]], "RWKV-7's least layers are others")
    filled = chart(page, "chart-probes", "chart.data.datasets.find(set => set.label === 'rwkv7').pointBackgroundColor")
    expect(filled[0] != filled[1], "a length that none solved has a filled mark")
    expect("of width 32 at 8 tokens" in page.find_element(By.ID, "probes-depths").text, "no width is said")
    page.execute_script("document.getElementById('chart-probes').focus()")
    page.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    words = page.find_element(By.ID, "live").get_attribute("textContent")
    expect("none of 1, 2, 4 at 8 tokens" in words, f"the keyboard reads {words!r}")
    the_page_stands(page, folder)


def curves_are_told_apart(page, fixture, folder):
    subprocess.run([fixture, folder, "crowded"], check=True, stdout=subprocess.DEVNULL)
    page.get("file://" + os.path.join(folder, "report.html"))
    for which in ("training", "validation"):
        Select(page.find_element(By.ID, "curves-which")).select_by_value(which)
        looks = chart(page, "chart-curves", """chart.data.datasets.map(set => JSON.stringify(
            [set.borderColor, set.borderDash, Array.isArray(set.pointRadius) && set.pointRadius.some(size => size) ? set.pointStyle : null]))""")
        expect(len(looks) == 32 and len(set(looks)) == 32, f"of 32 {which} curves {len(set(looks))} are told apart")
    legend = page.execute_script("return [...document.querySelectorAll('#legend-curves button svg')].map(svg => svg.innerHTML)")
    expect(len(legend) == 32 and len(set(legend)) == 32, f"the legend has {len(set(legend))} samples for {len(legend)} curves")
    the_page_stands(page, folder)


def lineages_are_drawn(page, fixture, folder):
    subprocess.run([fixture, folder, "lineage"], check=True, stdout=subprocess.DEVNULL)
    page.get("file://" + os.path.join(folder, "report.html"))
    every_chart_is_drawn(page, ["chart-lineage"])
    counts = chart(page, "chart-lineage", "chart.data.datasets.map(set => [set.data.length, set.showLine !== false])")
    expect(counts == [[3, True], [1, False], [1, False]], f"a line of three stages and two marks are shown as {counts}")
    the_page_stands(page, folder)


def main():
    keep = sys.argv[3] if len(sys.argv) > 3 and sys.argv[2] == "--keep" else None
    folder = keep or tempfile.mkdtemp(prefix="metascale-page-")
    page = browser()
    try:
        subprocess.run([sys.argv[1], folder, "10000"], check=True, stdout=subprocess.DEVNULL)
        size = os.path.getsize(os.path.join(folder, "report.html"))
        expect(size < LARGEST_PAGE, f"the page has {size} bytes")
        page.get("file://" + os.path.join(folder, "report.html"))
        every_chart_is_drawn(page)
        the_page_is_accessible(page)
        text_can_be_read(page, "light")
        pointing_shows_the_numbers(page)
        the_keyboard_reads_points(page)
        a_run_can_be_hidden(page)
        axes_can_be_logarithmic(page)
        colours_can_be_dark(page)
        every_chart_is_drawn(page)
        numbers_have_their_files(page, folder)
        the_page_prints(page, keep)
        small_windows_do_not_scroll_sideways(page)
        nothing_is_asked_of_a_network(page)
        pages_of_few_runs_are_quiet(page, sys.argv[1], os.path.join(folder, "few"))
        isoflop_profiles_are_drawn(page, sys.argv[1], os.path.join(folder, "isoflop"))
        laws_are_drawn(page, sys.argv[1], os.path.join(folder, "laws"))
        probes_are_drawn(page, sys.argv[1], os.path.join(folder, "probes"))
        least_layers_are_drawn(page, sys.argv[1], os.path.join(folder, "depths"))
        curves_are_told_apart(page, sys.argv[1], os.path.join(folder, "crowded"))
        lineages_are_drawn(page, sys.argv[1], os.path.join(folder, "lineage"))
        print("a reader can use the page")
    finally:
        page.quit()
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
