// What people come to do, on the sample neighbourhood: each as somebody does it, and checked by what the API says afterwards.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { browser, demonstration, eventually, inspect, visitor } from "./support.mjs";

let demo, chrome, community, site;
before(async () => {
  demo = await demonstration();
  chrome = await browser();
  [community] = (await demo.api("GET", "communities")).items;
  site = (await demo.api("GET", "sites")).items.find((site) => site.community === community.id);
});
after(async () => {
  await chrome?.close();
  demo?.stop();
});

test("a wrong password is refused in words, a right one opens the overview, and signing out closes it", async () => {
  const page = await visitor(chrome, demo);
  assert.match(await page.textContent("main"), /参与率/);
  await page.click("text=退出");
  await page.waitForURL("**/sign-in");
  await page.fill("#name", demo.name);
  await page.fill("#password", "not the password");
  await page.click("main button[type=submit]");
  await page.waitForSelector("[role=alert]");
  assert.match(await page.textContent("[role=alert]"), /用户名或密码不正确/);
  await page.goto(demo.base + "/");
  assert.match(page.url(), /sign-in/);
  page.wrong.length = 0;
  await inspect(page, "sign-in-desk-zh");
  await page.context().close();
});

test("English at a click, and the same page in it", async () => {
  const page = await visitor(chrome, demo);
  await page.goto(`${demo.base}/communities/${community.id}?period=day`);
  await page.click("text=English");
  assert.equal(new URL(page.url()).pathname, `/communities/${community.id}`);
  assert.equal(await page.getAttribute("html", "lang"), "en");
  assert.match(await page.textContent("main"), /Participation/);
  await page.context().close();
});
