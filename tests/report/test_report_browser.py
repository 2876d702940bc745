"""The page in headless Chromium: nothing fetched, pictures drawn, tables sort, phones fit."""

import pytest
from optional import find_chromium

pytestmark = pytest.mark.optional("chromium", "playwright")

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
]


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as player:
        opened = player.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser, two_runs_page):
    """Open the page with the options of a device; its errors and requests stand on it."""
    contexts = []

    def open_it(**device):
        context = browser.new_context(**device)
        contexts.append(context)
        page = context.new_page()
        page.errors, page.requests = [], []
        page.on("console", lambda message: page.errors.append(message.text))
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("request", lambda request: page.requests.append(request.url))
        page.goto(two_runs_page.as_uri())
        return page

    yield open_it
    for context in contexts:
        context.close()


def test_nothing_is_fetched_and_all_pictures_are_drawn(open_page, two_runs_page):
    page = open_page()
    page.evaluate("document.querySelectorAll('img').forEach(i => i.loading = 'eager')")
    page.wait_for_function("[...document.images].every(i => i.complete)")
    widths = page.evaluate("[...document.images].map(i => i.naturalWidth)")
    assert len(widths) > 50 and min(widths) > 0
    drawn = "[...document.querySelectorAll('svg')].map(s => s.getBoundingClientRect().height)"
    heights = page.evaluate(drawn)
    assert len(heights) > 6 and min(heights) > 50
    assert page.errors == []
    fetched = [url for url in page.requests if not url.startswith("data:")]
    assert fetched == [two_runs_page.as_uri()]


def test_no_script_of_a_name_runs(open_page):
    page = open_page()
    said = []
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.ran = 1\">')"
    )
    page.wait_for_timeout(100)
    # Even what would get past the escaping is stopped by the page's own policy.
    assert page.evaluate("window.ran") is None and said == []


def column(page, number):
    cells = f"#class-table-1 tbody tr > :nth-child({number})"
    return page.eval_on_selector_all(cells, "all => all.map(c => c.dataset.value ?? c.innerText)")


def test_tables_sort_by_keyboard_and_mouse(open_page):
    page = open_page()
    head = page.locator("#class-table-1 thead th")
    answered = [int(value) for value in column(page, 5)]
    head.nth(4).locator("button").click()
    assert [int(value) for value in column(page, 5)] == sorted(answered)
    assert head.nth(4).get_attribute("aria-sort") == "ascending"
    head.nth(4).locator("button").focus()
    page.keyboard.press("Enter")
    assert [int(value) for value in column(page, 5)] == sorted(answered, reverse=True)
    assert head.nth(4).get_attribute("aria-sort") == "descending"
    head.nth(0).locator("button").click()
    names = column(page, 1)
    assert names == sorted(names, key=str.lower) or names[0].startswith("<")
    assert head.nth(4).get_attribute("aria-sort") is None
    assert head.nth(0).get_attribute("aria-sort") == "ascending"


def test_the_skip_link_is_the_first_stop_and_leads_to_the_content(open_page):
    page = open_page()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_is_wider_than_the_screen(open_page, scheme, width):
    page = open_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_text_is_readable_in_both_schemes(open_page):
    for scheme in ("light", "dark"):
        page = open_page(color_scheme=scheme)
        ratios = page.evaluate(CONTRASTS)
        assert len(ratios) > 6
        assert min(ratios.values()) >= 4.5, (scheme, ratios)


# Contrast of the page's text colours on its two backgrounds, by WCAG 2.1.
CONTRASTS = """() => {
  const style = getComputedStyle(document.documentElement);
  const light = name => {
    const probe = document.createElement('i');
    probe.style.color = style.getPropertyValue(name);
    document.body.append(probe);
    const [r, g, b] = getComputedStyle(probe).color.match(/[\\d.]+/g).map(v => {
      v /= 255;
      return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    });
    probe.remove();
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = {};
  for (const ink of ['--ink', '--quiet', '--blue', '--orange'])
    for (const paper of ['--paper', '--card']) {
      const [a, b] = [light(ink), light(paper)].sort((x, y) => y - x);
      found[ink + ' on ' + paper] = (a + 0.05) / (b + 0.05);
    }
  return found;
}"""
