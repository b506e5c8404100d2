// The built site in a real browser: `make site-test`, or `node --test tests/site/browser.mjs` after `make site`.
// Chromium is found under its usual names, or where CHROMIUM says; without one the tests are skipped.
// SHOTS=folder also writes pictures of some pages, on a phone and on a desktop, light and dark.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, readdirSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import path from "node:path";
import test, { after, before } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const SITE = path.join(ROOT, "build/site");
const LIVE = "docs/live/index.html";
const UNDER = "/a/sub-path/";
const WIDTHS = [320, 390, 768, 1280];
const KINDS = { landing: "index.html", lesson: "lessons/06_backward.html", ledger: "results/index.html",
  reference: "reference/functional.html", source: "source/minidl/ops/norm.html" };
const TYPES = { ".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".png": "image/png",
  ".woff2": "font/woff2", ".json": "application/json" };

const chromium = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(
  (place) => place && existsSync(place));
const skip = chromium ? false : "no Chromium here: apt install chromium, or CHROMIUM=/its/place";
const require = createRequire(path.join(ROOT, ".venv-site/"));
let server, browser, base;

function files(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".html"))
    .map((entry) => path.relative(SITE, path.join(entry.parentPath ?? entry.path, entry.name)).split(path.sep).join("/"))
    .filter((name) => !name.startsWith("_static/"));
}

/** A new tab that keeps what goes wrong in it. */
async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.wrong = [];
  const note = (what) => page.wrong.push(`${page.url().replace(base, "")}: ${what}`);
  page.on("requestfailed", (request) => note(`${request.url()} ${request.failure()?.errorText}`));
  page.on("response", (response) => response.status() >= 400 && note(`${response.status()} ${response.url()}`));
  page.on("request", (request) => /^(data|blob):/.test(request.url()) || request.url().startsWith(base) ||
    note(`asks elsewhere: ${request.url()}`));
  page.on("pageerror", (error) => note(String(error)));
  page.on("console", (message) => message.type() === "error" && note(message.text()));
  return page;
}

before(async () => {
  if (skip) return;
  assert.ok(existsSync(SITE), "the site is not built: make site");
  server = createServer((request, response) => {
    const name = decodeURIComponent(new URL(request.url, "http://x").pathname);
    const file = path.join(SITE, name.slice(UNDER.length) || "index.html");
    if (!name.startsWith(UNDER) || !existsSync(file)) return response.writeHead(404).end();
    response.writeHead(200, { "content-type": TYPES[path.extname(file)] ?? "text/plain" }).end(readFileSync(file));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${server.address().port}${UNDER}`;
  browser = await require("playwright-core").chromium.launch({ executablePath: chromium, args: ["--no-sandbox", "--disable-gpu",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"] });
});

after(async () => {
  await browser?.close();
  server?.close();
});

test("every page loads whole, asks nothing of others, and does not scroll sideways", { skip }, async () => {
  const waiting = files(SITE);
  const wide = [], wrong = [];
  const visit = async () => {
    const page = await open();
    for (let name = waiting.pop(); name; name = waiting.pop()) {
      await page.goto(base + name, { waitUntil: "load" });
      for (const width of WIDTHS) {
        await page.setViewportSize({ width, height: 800 });
        const [has, shows] = await page.evaluate(() => {
          const root = document.documentElement;
          return [root.scrollWidth, root.clientWidth];
        });
        if (has > shows + 1) wide.push(`${name} at ${width} px: ${has}`);
      }
    }
    wrong.push(...page.wrong);
    await page.context().close();
  };
  await Promise.all([visit(), visit(), visit()]);
  assert.deepEqual([...wrong, ...wide].slice(0, 12), []);
});

test("what should be caught is caught", { skip }, async () => {
  const page = await open();
  await page.goto(base + "index.html");
  await page.evaluate(() => {
    document.body.insertAdjacentHTML("beforeend", '<img src="gone.png" alt=""><div style="width: 5000px">wide</div>');
    console.error("an error");
    return fetch("http://127.0.0.1:9/").catch(() => {});
  });
  await page.waitForTimeout(300);
  for (const what of ["404", "an error", "asks elsewhere"]) assert.ok(page.wrong.some((line) => line.includes(what)), what);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth + 1));
  await page.context().close();
});

for (const [words, place] of [["batch_norm", "reference/functional.html"], ["running variance", "lessons/08_inference.html"],
  ["Jacobian", "lessons/06_backward.html"]]) {
  test(`search finds ${words}`, { skip }, async () => {
    const page = await open();
    await page.goto(base + "index.html");
    await page.locator("input.sidebar-search").fill(words);
    await page.keyboard.press("Enter");
    await page.waitForSelector("#search-results li a");
    await page.waitForFunction((place) => [...document.querySelectorAll("#search-results li a")].some((a) => a.href.includes(place)),
      place, { timeout: 10000 });
    assert.deepEqual(page.wrong, []);
    await page.context().close();
  });
}

test("the theme is remembered, and figures are not inverted in it", { skip }, async () => {
  const page = await open({ colorScheme: "light" });
  await page.goto(base + "index.html");
  const theme = () => page.evaluate(() => document.body.dataset.theme);
  for (let i = 0; i < 3 && (await theme()) !== "dark"; i++) await page.locator(".theme-toggle-content .theme-toggle").click();
  assert.equal(await theme(), "dark");
  await page.reload();
  assert.equal(await theme(), "dark");
  await page.goto(base + KINDS.lesson);
  assert.equal(await theme(), "dark");
  const looks = await page.locator("article img").first().evaluate((image) => {
    const style = getComputedStyle(image);
    return [style.filter, style.backgroundColor, parseFloat(style.paddingLeft) > 0];
  });
  assert.deepEqual(looks, ["none", "rgb(255, 255, 255)", true]);
  await page.context().close();
});

test("without JavaScript there are mathematics, figures and text", { skip }, async () => {
  const page = await open({ javaScriptEnabled: false });
  await page.goto(base + "lessons/05_algorithm_1.html");
  assert.ok((await page.locator(".katex math").count()) > 20);
  assert.doesNotMatch(await page.locator("article").innerText(), /\\frac|\\hat|\$\$/);
  assert.ok(await page.locator(".katex .mfrac").first().isVisible());
  assert.ok((await page.locator("article img").count()) >= 4);
  await page.context().close();
});

test("the interactive figure opens the first page, as high as it is", { skip: skip || (existsSync(path.join(SITE, LIVE)) ? false
  : "there is no interactive figure") }, async () => {
  const page = await open({ viewport: { width: 390, height: 844 } });
  await page.goto(base + "index.html");
  const frame = page.locator("iframe.live");
  assert.ok((await frame.boundingBox()).y < 700);
  await page.waitForFunction(() => {
    const frame = document.querySelector("iframe.live");
    return frame.offsetHeight >= frame.contentDocument.documentElement.offsetHeight;
  });
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

test("an exercise is folded, opens by keyboard, and says how to run it", { skip }, async () => {
  const page = await open();
  await page.goto(base + "lessons/05_algorithm_1.html");
  const exercise = page.locator("details.exercise").first();
  assert.equal(await exercise.locator("pre").first().isVisible(), false);
  await exercise.locator("summary").focus();
  await page.keyboard.press("Enter");
  assert.ok(await exercise.locator("pre").first().isVisible());
  assert.match(await exercise.innerText(), /make lessons/);
  const answer = await page.request.get(new URL(await page.locator("a[download]").getAttribute("href"), page.url()).href);
  assert.equal((await answer.json()).nbformat, 4);
  await page.context().close();
});

test("a link to a definition goes to its line", { skip }, async () => {
  const page = await open();
  await page.goto(base + "lessons/05_algorithm_1.html");
  await page.locator("article a", { hasText: /^batch_norm$/ }).first().click();
  await page.waitForURL(/norm\.html#L\d+$/);
  assert.match(await page.locator(".line:target").innerText(), /def batch_norm\(/);
  assert.ok(await page.locator(".line:target").isVisible());
  await page.context().close();
});

test("the ledger's table is cards on a phone", { skip }, async () => {
  const page = await open({ viewport: { width: 390, height: 844 } });
  await page.goto(base + KINDS.ledger);
  const cells = page.locator("table.cards").first().locator("tbody tr").first().locator("td");
  assert.equal(await page.locator("table.cards thead").first().isVisible(), false);
  assert.ok((await cells.nth(3).boundingBox()).y > (await cells.nth(2).boundingBox()).y);
  assert.match(await cells.nth(3).innerText(), /^verdict: /);
  await page.setViewportSize({ width: 1280, height: 900 });
  assert.ok(await page.locator("table.cards thead").first().isVisible());
  assert.doesNotMatch(await cells.nth(3).innerText(), /verdict/);
  await page.context().close();
});

for (const [kind, name] of Object.entries(KINDS)) {
  test(`axe finds nothing on a page of the kind ${kind}`, { skip }, async () => {
    const rules = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
    for (const [colorScheme, width] of [["light", 1280], ["dark", 1280], ["light", 390]]) {
      const page = await open({ colorScheme, viewport: { width, height: 900 } });
      await page.goto(base + name);
      await page.evaluate(rules);
      const { violations } = await page.evaluate(() => axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa",
        "wcag22aa", "best-practice"] }));
      const told = violations.map((v) => `${v.id} (${v.nodes.length}): ${v.nodes[0].html.slice(0, 160)} ${v.nodes[0].any[0]?.message ?? ""}`);
      assert.deepEqual(told, [], `${kind}, ${colorScheme}, ${width} px`);
      await page.context().close();
    }
  });
}

test("pictures of some pages", { skip: skip || !process.env.SHOTS }, async () => {
  mkdirSync(process.env.SHOTS, { recursive: true });
  for (const [kind, name] of Object.entries(KINDS)) {
    for (const [what, width, colorScheme] of [["phone", 390, "light"], ["desktop", 1280, "light"], ["dark", 1280, "dark"]]) {
      const page = await open({ colorScheme, viewport: { width, height: width === 390 ? 844 : 900 } });
      await page.goto(base + name);
      await page.screenshot({ path: path.join(process.env.SHOTS, `${kind}-${what}.png`) });
      await page.context().close();
    }
  }
});
