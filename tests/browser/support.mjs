// The demonstration as a newcomer starts it, and a browser beside it. Pictures of what was seen are left in target/browser.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const root = new URL("../..", import.meta.url).pathname;
const pictures = join(root, "target/browser");
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const sizes = {
  desk: { viewport: { width: 1440, height: 900 } },
  phone: { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 },
};
export const languages = { zh: "zh-CN", en: "en" };
/** The most bytes of a page with all that it loads. */
const HEAVIEST = 150_000;

/** Starts the demonstration; comes back once its four weeks of history are stored. */
export async function demonstration() {
  const folder = mkdtempSync(join(tmpdir(), "fenlei-browser-"));
  const program = process.env.FENLEI ?? join(root, "target/debug/fenlei");
  const environment = { ...process.env, FENLEI__HTTP__LISTEN: "127.0.0.1:0", FENLEI__MQTT__LISTEN: "127.0.0.1:0" };
  const child = spawn(program, ["demo", "--dir", join(folder, "demo"), "--for", "1800"], { env: environment, stdio: ["ignore", "pipe", "inherit"] });
  const demo = { folder: join(folder, "demo"), program, stop: () => child.kill("SIGINT") };
  for await (const line of createInterface({ input: child.stdout })) {
    const account = /Sign in\s+(http:\/\/\S+?)\/?\s+as (\S+), password (\S+)/.exec(line);
    if (account) [, demo.base, demo.name, demo.password] = account;
    const broker = /MQTT\s+mqtt:\/\/\S*:(\d+)/.exec(line);
    if (broker) demo.mqtt = broker[1];
    const token = /Bearer (fenlei_[\w-]+)/.exec(line);
    if (token) demo.token = token[1];
    if (line.startsWith("History stored")) break;
  }
  assert.ok(demo.base && demo.token, "the demonstration said where it is");
  demo.api = async (method, path, body) => {
    const headers = { authorization: `Bearer ${demo.token}`, "content-type": "application/json" };
    const answer = await fetch(`${demo.base}/api/v1/${path}`, { method, headers, body: body && JSON.stringify(body) });
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${await answer.clone().text()}`);
    return answer.status === 204 ? null : answer.json();
  };
  return demo;
}

export const browser = () =>
  chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"] });

/** A window of its own, signed in, that remembers whatever a page said was wrong. */
export async function visitor(chrome, demo, { size = "desk", lang = "zh", name = demo.name, password = demo.password } = {}) {
  const context = await chrome.newContext({ ...sizes[size], acceptDownloads: true, timezoneId: "Asia/Shanghai" });
  await context.addCookies([{ name: "fenlei_lang", value: lang, url: demo.base }]);
  const page = await context.newPage();
  page.wrong = [];
  page.on("console", (message) => message.type() === "error" && page.wrong.push(message.text()));
  page.on("pageerror", (error) => page.wrong.push(String(error)));
  page.on("request", (request) => {
    const address = request.url();
    if (!address.startsWith(demo.base) && !/^(data|blob):/.test(address)) page.wrong.push(`it asks another host: ${address}`);
  });
  await page.goto(`${demo.base}/sign-in`);
  await page.fill("#name", name);
  await page.fill("#password", password);
  await page.click("main button[type=submit]");
  await page.waitForURL((address) => !address.pathname.startsWith("/sign-in"));
  return page;
}

/** What holds for every page: it is there, whole, light, fits the window, says its language, and axe finds nothing. */
export async function inspect(page, name) {
  mkdirSync(pictures, { recursive: true });
  await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
  const seen = await page.evaluate(() => {
    const entries = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
    const loaded = entries.filter((entry) => !["fetch", "eventsource", "other"].includes(entry.initiatorType));
    return {
      bytes: loaded.reduce((sum, entry) => sum + entry.decodedBodySize, 0),
      headings: document.querySelectorAll("h1").length,
      overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
      lang: document.documentElement.lang,
    };
  });
  assert.equal(seen.headings, 1, `${name}: one heading`);
  assert.ok(seen.overflow <= 0, `${name}: ${seen.overflow} px too wide`);
  assert.ok(seen.bytes > 0 && seen.bytes < HEAVIEST, `${name}: ${seen.bytes} bytes`);
  await page.evaluate(axe);
  const found = await page.evaluate(() => {
    const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
    return axe.run(document, { runOnly: tags, resultTypes: ["violations"] });
  });
  const told = found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 200)).join(" | ")}`);
  assert.deepEqual(told, [], name);
  assert.deepEqual(page.wrong, [], `${name}: what the browser complained about`);
  return seen;
}

/** Looks again until it holds: pages change when the store has committed, not after a time. */
export async function eventually(what, holds, { patience = 30_000 } = {}) {
  const end = Date.now() + patience;
  for (;;) {
    const found = await holds();
    if (found) return found;
    assert.ok(Date.now() < end, `never: ${what}`);
    await new Promise((again) => setTimeout(again, 100));
  }
}
