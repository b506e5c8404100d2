// The built site in a real browser: `make site-test`, or `node --test tests/site/*.test.mjs` after `make site`.
// SHOTS=folder also writes pictures of some pages, on a phone and on a desktop, light and dark.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, test } from "node:test";
import { PHONE, base, close, open, pages, require, skip, tap } from "./harness.mjs";

const WIDTHS = [320, 390, 768, 1280];
const KINDS = { landing: "index.html", lesson: "lessons/06_backward.html", ledger: "results/index.html",
  reference: "reference/functional.html", source: "source/minidl/ops/norm.html" };
const AXE = skip ? "" : readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const LIVE = ["index", "drag", "circle", "sliders"].map((name) => `docs/live/${name}.html`);

describe("pages", { concurrency: 3, timeout: 1_200_000 }, () => {
  test("every page loads whole, asks nothing of others, and does not scroll sideways", { skip }, async () => {
    const waiting = pages();
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
    await Promise.all([visit(), visit()]);
    assert.deepEqual([...wrong, ...wide].slice(0, 12), []);
  });

  test("what should be caught is caught", { skip }, async () => {
    const page = await open("index.html");
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
      const page = await open("index.html");
      await page.locator("input.sidebar-search").fill(words);
      await page.keyboard.press("Enter");
      await page.waitForSelector("#search-results li a");
      await page.waitForFunction((place) => [...document.querySelectorAll("#search-results li a")].some((a) => a.href.includes(place)),
        place, { timeout: 10000 });
      await close(page);
    });
  }

  test("the theme is remembered, and figures are not inverted in it", { skip }, async () => {
    const page = await open("index.html", { colorScheme: "light" });
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
    const page = await open("lessons/05_algorithm_1.html", { javaScriptEnabled: false });
    assert.ok((await page.locator(".katex math").count()) > 20);
    assert.doesNotMatch(await page.locator("article").innerText(), /\\frac|\\hat|\$\$/);
    assert.ok(await page.locator(".katex .mfrac").first().isVisible());
    assert.ok((await page.locator("article img").count()) >= 4);
    await page.context().close();
  });

  test("on a phone one sees at once what it is, for whom, where to start, and the figure", { skip }, async () => {
    const page = await open("index.html", PHONE);
    const article = page.locator("article");
    const low = async (locator) => (await locator.boundingBox()).y;
    const heights = [await low(article.getByText("deep-learning framework").first()), await low(article.getByText("It is for people who").first()),
      await low(article.getByRole("link", { name: "Start the course" })), await low(page.locator("iframe.live"))];
    assert.deepEqual(heights, heights.toSorted((a, b) => a - b));
    const inside = page.frameLocator("iframe.live");
    for (const part of [inside.locator("#play"), inside.locator("#when"), inside.locator("#arms svg").first()]) {
      await part.waitFor();
      assert.ok((await low(part)) < 844 - 60, "below the fold");
    }
    await page.waitForFunction(() => {
      const frame = document.querySelector("iframe.live");
      return frame.offsetHeight >= frame.contentDocument.documentElement.offsetHeight && frame.offsetHeight < 3 * innerHeight;
    });
    await tap(article.getByRole("link", { name: "Start the course" }), () => /lessons\/index\.html/.test(page.url()));
    await close(page);
  });

  test("an exercise is folded, opens by keyboard, and says how to run it", { skip }, async () => {
    const page = await open("lessons/05_algorithm_1.html");
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
    const page = await open("lessons/05_algorithm_1.html");
    await page.locator("article a", { hasText: /^batch_norm$/ }).first().click();
    await page.waitForURL(/norm\.html#L\d+$/);
    assert.match(await page.locator(".line:target").innerText(), /def batch_norm\(/);
    assert.ok(await page.locator(".line:target").isVisible());
    await page.context().close();
  });

  test("the ledger's table is cards on a phone", { skip }, async () => {
    const page = await open(KINDS.ledger, { viewport: { width: 390, height: 844 } });
    const cells = page.locator("table.cards").first().locator("tbody tr").first().locator("td");
    assert.equal(await page.locator("table.cards thead").first().isVisible(), false);
    assert.ok((await cells.nth(3).boundingBox()).y > (await cells.nth(2).boundingBox()).y);
    assert.match(await cells.nth(3).innerText(), /^verdict: /);
    await page.setViewportSize({ width: 1280, height: 900 });
    assert.ok(await page.locator("table.cards thead").first().isVisible());
    assert.doesNotMatch(await cells.nth(3).innerText(), /verdict/);
    await page.context().close();
  });

  for (const [kind, name] of [...Object.entries(KINDS), ...LIVE.map((name) => [name, name])]) {
    test(`axe finds nothing on a page of the kind ${kind}`, { skip }, async () => {
      const page = await open();
      for (const [colorScheme, width] of [["light", 1280], ["dark", 1280], ["light", 390]]) {
        await page.setViewportSize({ width, height: 900 });
        await page.emulateMedia({ colorScheme });
        await page.goto(base + name);
        await page.evaluate(AXE);
        // A formula has hundreds of boxes, hidden from screen readers, in the colour of its sentence: that, axe sees beside them.
        const coloured = await page.evaluate(() => [...document.querySelectorAll(".katex-html *")].find((node) =>
          getComputedStyle(node).color !== getComputedStyle(node.closest(".katex").parentElement).color)?.outerHTML);
        assert.equal(coloured, undefined);
        const { violations } = await page.evaluate(() => axe.run({ exclude: [".katex-html"] }, { runOnly: ["wcag2a", "wcag2aa",
          "wcag21a", "wcag21aa", "wcag22aa", "best-practice"], resultTypes: ["violations"] }));
        const told = violations.map((v) => `${v.id} (${v.nodes.length}): ${v.nodes[0].html.slice(0, 160)} ${v.nodes[0].any[0]?.message ?? ""}`);
        assert.deepEqual(told, [], `${kind}, ${colorScheme}, ${width} px`);
      }
      await close(page);
    });
  }

  test("pictures of some pages", { skip: skip || !process.env.SHOTS }, async () => {
    mkdirSync(process.env.SHOTS, { recursive: true });
    for (const [kind, name] of Object.entries(KINDS)) {
      for (const [what, width, colorScheme] of [["phone", 390, "light"], ["desktop", 1280, "light"], ["dark", 1280, "dark"]]) {
        const page = await open(name, { colorScheme, viewport: { width, height: width === 390 ? 844 : 900 } });
        await page.screenshot({ path: path.join(process.env.SHOTS, `${kind}-${what}.png`) });
        await page.context().close();
      }
    }
  });
});
