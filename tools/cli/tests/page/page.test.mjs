// Tests the page of `electra serve --http` in Chromium. test.sh installs what this needs, and sets
// ELECTRA, the executable, and MODELS, the folder of the models. SCREENSHOT names a picture to take.
//
// The labels must be those of the command.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { chromium } from "playwright-core";

const electra = process.env.ELECTRA;
const folder = mkdtempSync(join(tmpdir(), "electra-page-"));
const services = [];
let browser;

/** Starts the service and returns its address. */
function serve(...options) {
  return new Promise((resolve, reject) => {
    const service = spawn(electra, ["serve", "--http", "127.0.0.1:0", ...options]);
    services.push(service);
    let log = "";
    service.stderr.on("data", (data) => {
      log += data;
      const address = log.match(/listening on (http:[^,]+),/);
      if (address) resolve(address[1]);
    });
    service.on("exit", () => reject(new Error(log)));
  });
}

const scoresOf = (text) =>
  JSON.parse(execFileSync(electra, ["classify", "--json", "--", text], { encoding: "utf8" })).scores;

async function open(address, options = {}) {
  const context = await browser.newContext({ acceptDownloads: true, ...options });
  const page = await context.newPage();
  page.problems = [];
  page.on("console", (message) => message.type() === "error" && page.problems.push(message.text()));
  page.on("pageerror", (error) => page.problems.push(String(error)));
  page.foreign = [];
  page.on("request", (request) => {
    const { origin, protocol } = new URL(request.url());
    if (origin !== address && protocol.startsWith("http")) page.foreign.push(request.url());
  });
  await page.goto(address + "/");
  return page;
}

before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
});

after(async () => {
  await browser?.close();
  services.forEach((service) => service.kill());
});

test("labels appear as bars while one types, with time and memory", async () => {
  const page = await open(await serve());
  const text = "ELECTRA is surprisingly fast and accurate.";
  await page.waitForFunction(() => document.activeElement.id === "text");
  await page.keyboard.type(text);
  const expected = scoresOf(text);
  await page.waitForFunction(
    (score) => document.querySelector("#labels .number")?.textContent === score,
    expected[0].score.toFixed(3),
  );
  const rows = await page.locator("#labels .row").allInnerTexts();
  assert.deepEqual(
    rows.map((row) => row.split(/\s+/).filter(Boolean)),
    expected.map(({ label, score }) => [label, score.toFixed(3)]),
  );
  const width = await page.locator("#labels .fill").first().evaluate((fill) => fill.style.width);
  assert.ok(Math.abs(parseFloat(width) - 100 * expected[0].score) < 0.01, width);
  await page.waitForFunction(() => /ms; memory: arena .* KiB/.test(document.getElementById("cost").textContent));
  assert.match(await page.locator("#labels").getAttribute("aria-label"), /^POSITIVE 94 percent, NEUTRAL 3 percent/);
  assert.deepEqual([page.problems, page.foreign], [[], []]);
  if (process.env.SCREENSHOT) {
    await page.setViewportSize({ width: 720, height: 600 });
    await page.screenshot({ path: process.env.SCREENSHOT });
  }
  // Markup in a text stays text.
  await page.fill("#text", "<img src=x onerror=alert(1)> good");
  await page.waitForFunction(() => document.querySelectorAll("#labels .row").length > 0);
  assert.equal(await page.locator("img").count(), 0);
  await page.fill("#text", " ");
  await page.waitForFunction(() => document.querySelectorAll("#labels .row").length === 0);
});

test("a file of rows is labelled and saved as CSV", async () => {
  const page = await open(await serve());
  const texts = Array.from({ length: 200 }, (_, number) => `Line ${number} is ${number % 2 ? "dull" : "great"}.`);
  texts[3] = 'She said: "a joy", really,\nand left.';
  const rows = texts.map((text, number) => `${number},"${text.replaceAll('"', '""')}"`);
  const path = join(folder, "reviews.csv");
  writeFileSync(path, "\ufeffid,Text\r\n" + rows.join("\r\n") + "\r\n");
  await page.setInputFiles("#file", path);
  await page.waitForSelector("#download:not([hidden])");
  assert.match(await page.locator("#count").innerText(), /^200 texts in/);
  assert.equal(await page.locator("#progress").evaluate((progress) => progress.value), 200);
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#download")]);
  assert.equal(download.suggestedFilename(), "reviews-labels.csv");
  const lines = readFileSync(await download.path(), "utf8").split("\r\n");
  assert.equal(lines[0], '"text","label","score","NEGATIVE","NEUTRAL","POSITIVE"');
  for (const number of [0, 1, 3, 199]) {
    const [best] = scoresOf(texts[number]);
    const start = `"${texts[number].replaceAll('"', '""')}","${best.label}",${best.score},`;
    assert.ok(lines[number + 1].startsWith(start), lines[number + 1]);
  }
  assert.deepEqual(page.problems, []);
});

test("a file that cannot be used is explained", async () => {
  const page = await open(await serve());
  for (const [name, content, problem] of [
    ["a.csv", "id,review\n1,good\n", "The columns are id, review, expected one called text or sentence."],
    ["a.csv", 'text\n"good\n', "Line 2: the quote is not closed."],
    ["a.txt", Buffer.from([0xff, 0xfe, 0x41]), "The file is not UTF-8."],
    ["a.txt", "", "The file has no texts."],
  ]) {
    writeFileSync(join(folder, name), content);
    await page.setInputFiles("#file", join(folder, name));
    await page.waitForFunction((text) => document.getElementById("file-problem").textContent === text, problem);
  }
});

test("a detector marks suspicious words", async () => {
  const page = await open(await serve("--model", join(process.env.MODELS, "electra-small-rtd/model.electra")));
  await page.fill("#text", "Über: he was born in of 1952 and moved to Paris.");
  await page.waitForSelector("#marked mark");
  assert.deepEqual(await page.locator("#marked mark").allInnerTexts(), ["in", "of"]);
  assert.equal(await page.locator("#marked").innerText(), "Über: he was born in of 1952 and moved to Paris.");
  assert.equal(await page.locator("#files").isVisible(), false);
  assert.deepEqual(page.problems, []);
});

test("the page asks for the token", async () => {
  writeFileSync(join(folder, "token"), "s3cret");
  const page = await open(await serve("--token-file", join(folder, "token")));
  await page.waitForSelector("#login:not([hidden])");
  await page.fill("#token", "s3cret");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#login", { state: "hidden" });
  await page.fill("#text", "A joy to watch.");
  await page.waitForSelector("#labels .row");
});

test("it can be used on a phone, in the dark and by keyboard", async () => {
  const address = await serve();
  const phone = { viewport: { width: 320, height: 640 }, hasTouch: true, isMobile: true };
  for (const colorScheme of ["light", "dark"]) {
    const page = await open(address, { ...phone, colorScheme });
    await page.fill("#text", "A warm, funny and quietly moving film.");
    await page.waitForSelector("#labels .row");
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= 320, `${wide} pixels wide`);
    // Text and ground differ enough (WCAG 2.2, 1.4.3).
    const contrast = await page.evaluate(() => {
      const light = (color) => {
        const [r, g, b] = color.match(/\d+/g).map((part) => {
          const value = part / 255;
          return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const card = getComputedStyle(document.querySelector("section:not([hidden])")).backgroundColor;
      return ["#cost", "#text", "#problem"].map((id) => {
        const [a, b] = [light(getComputedStyle(document.querySelector(id)).color), light(card)];
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      });
    });
    assert.ok(Math.min(...contrast) >= 4.5, `${colorScheme}: ${contrast}`);
    await page.close();
  }
  const page = await open(address);
  const focused = (id) => page.waitForFunction((id) => document.activeElement.id === id, id);
  await focused("text");
  await page.keyboard.press("Tab");
  await focused("choose");
  // The key opens the dialog for files, which is replaced by a flag here.
  await page.evaluate(() => {
    document.getElementById("file").addEventListener("click", (event) => {
      event.preventDefault();
      document.body.dataset.asked = "yes";
    });
  });
  await page.keyboard.press("Space");
  await page.waitForFunction(() => document.body.dataset.asked === "yes");
  writeFileSync(join(folder, "lines.txt"), "good\nbad\n");
  await page.setInputFiles("#file", join(folder, "lines.txt"));
  await page.waitForSelector("#download:not([hidden])");
  assert.match(await page.locator("#count").innerText(), /^2 texts/);
});
