// What the browser tests share: the built site behind a sub-path, one Chromium, tabs that keep what goes wrong in them.
// Chromium is found under its usual names, or where CHROMIUM says; without one the tests are skipped.
import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import path from "node:path";
import { after } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const UNDER = "/a/sub-path/";
const TYPES = { ".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".png": "image/png",
  ".woff2": "font/woff2", ".json": "application/json" };
export const SITE = path.join(ROOT, "build/site");
export const require = createRequire(path.join(ROOT, ".venv-site/"));
export const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

const chromium = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(
  (place) => place && existsSync(place));
export const skip = chromium ? false : "no Chromium here: apt install chromium, or CHROMIUM=/its/place";
export let browser, base;

if (!skip) {
  assert.ok(existsSync(SITE), "the site is not built: make site");
  const server = createServer((request, response) => {
    const name = decodeURIComponent(new URL(request.url, "http://x").pathname);
    const file = path.join(SITE, name.slice(UNDER.length) || "index.html");
    if (!name.startsWith(UNDER) || !existsSync(file)) return response.writeHead(404).end();
    const kept = name.includes("/_static/") ? "max-age=600" : "no-cache";  // styles and fonts are the same for all pages
    response.writeHead(200, { "content-type": TYPES[path.extname(file)] ?? "text/plain", "cache-control": kept })
      .end(readFileSync(file));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${server.address().port}${UNDER}`;
  browser = await require("playwright-core").chromium.launch({ executablePath: chromium, args: ["--no-sandbox", "--disable-gpu",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"] });
  after(async () => {
    await browser.close();
    server.close();
    server.closeAllConnections();
  });
}

/** The addresses of all pages, as they are below the first one. */
export function pages() {
  return readdirSync(SITE, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".html"))
    .map((entry) => path.relative(SITE, path.join(entry.parentPath ?? entry.path, entry.name)).split(path.sep).join("/"))
    .filter((name) => !name.startsWith("_static/"));
}

/** A new tab with a page in it, if one is named; page.wrong has what goes wrong. */
export async function open(name, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  page.wrong = [];
  const note = (what) => page.wrong.push(`${page.url().replace(base, "")}: ${what}`);
  page.on("requestfailed", (request) => note(`${request.url()} ${request.failure()?.errorText}`));
  page.on("response", (response) => response.status() >= 400 && note(`${response.status()} ${response.url()}`));
  page.on("request", (request) => /^(data|blob):/.test(request.url()) || request.url().startsWith(base) ||
    note(`asks elsewhere: ${request.url()}`));
  page.on("pageerror", (error) => note(String(error)));
  page.on("console", (message) => message.type() === "error" && note(message.text()));
  if (name) await page.goto(base + name);
  return page;
}

/** Close a tab, in which nothing may have gone wrong. */
export async function close(page) {
  assert.deepEqual(page.wrong, []);
  await page.context().close();
}

/** Tap until something has come of it: where a machine is busy a tap can last so long that it counts as a long press. */
export async function tap(locator, happened) {
  for (let times = 1; times <= 5; times++) {
    await locator.tap();
    for (let i = 0; i < 20; i++) {
      if (await happened()) return;
      await locator.page().waitForTimeout(100);
    }
  }
  assert.fail(`five taps, and nothing came of them: ${locator}`);
}
