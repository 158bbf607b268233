// What people come to do, on the sample neighbourhood: each as somebody does it, and checked by what the API says afterwards.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { browser, demonstration, eventually, inspect, languages, visitor } from "./support.mjs";

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

const shanghai = new Intl.DateTimeFormat("en-CA", { timeZone: "Asia/Shanghai", year: "numeric", month: "2-digit" });

test("English at a click, and the same page in it", async () => {
  const page = await visitor(chrome, demo);
  await page.goto(`${demo.base}/communities/${community.id}?period=day`);
  await page.click("text=English");
  assert.equal(new URL(page.url()).pathname, `/communities/${community.id}`);
  assert.equal(await page.getAttribute("html", "lang"), "en");
  assert.match(await page.textContent("main"), /Participation/);
  await page.context().close();
});

for (const lang of Object.keys(languages)) {
  const t = (zh, en) => (lang === "zh" ? zh : en);

  test(`a wrong password is refused in words, a right one opens the overview, and signing out closes it, ${lang}`, async () => {
    const page = await visitor(chrome, demo, { lang });
    assert.match(await page.textContent("main"), t(/参与率/, /Participation/));
    await page.click(t("text=退出", "text=Sign out"));
    await page.waitForURL("**/sign-in");
    await page.fill("#name", demo.name);
    await page.fill("#password", "not the password");
    await page.click("main button[type=submit]");
    await page.waitForSelector("[role=alert]");
    assert.match(await page.textContent("[role=alert]"), t(/用户名或密码不正确/, /name or the password is wrong/));
    await page.goto(demo.base + "/");
    assert.match(page.url(), /sign-in/);
    page.wrong.length = 0;
    await inspect(page, `sign-in-desk-${lang}`);
    await page.context().close();
  });

  test(`a visit is recorded on a phone without a network, kept, and stored once when there is one, ${lang}`, async () => {
    const page = await visitor(chrome, demo, { size: "phone", lang });
    await page.goto(`${demo.base}/communities/${community.id}/visits`);
    const household = await page.evaluate(() => [...document.querySelectorAll("#household option")].find((one) => one.value).value);
    const record = async () => {
      await page.selectOption("#household", household);
      for (const [name, value] of [["kind", "survey"], ["outcome", "answered"], ["claimed", "true"], ["tested", "false"]])
        await page.check(`input[name=${name}][value=${value}]`);
      await page.click("main button[type=submit]");
    };
    await page.context().setOffline(true);
    await record();
    await page.waitForSelector("#visit-status.warn");
    assert.match(await page.textContent("#visit-status"), t(/1 .*保存在本机/, /1 waiting on this phone/));
    page.wrong.length = 0;
    await inspect(page, `visits-waiting-phone-${lang}`);
    await page.context().setOffline(false);
    await page.waitForSelector("#visit-status.done");
    // Sent again by hand it is stored once, because it is one record of one household, day and kind.
    await record();
    await page.waitForSelector("#visit-status.done");
    const date = await page.inputValue("#date");
    const stored = await eventually("the record is stored", async () => {
      const all = [];
      for (let cursor = ""; cursor !== null; ) {
        const part = await demo.api("GET", `communities/${community.id}/visits?limit=1000${cursor && `&cursor=${cursor}`}`);
        all.push(...part.items);
        cursor = part.next;
      }
      const found = all.filter((one) => one.household === household && one.date === date && one.kind === "survey");
      return found.length && found;
    });
    // What is refused is not called recorded as well: by the server's clock the day is still to come.
    await page.evaluate(() => { document.getElementById("date").removeAttribute("max"); });
    await page.fill("#date", "2099-01-01");
    await record();
    await page.waitForSelector("#visit-refused .error");
    assert.equal((await page.textContent("#visit-status")).trim(), "");
    page.wrong.length = 0;
    assert.deepEqual(stored.map(({ claimed, tested, outcome }) => ({ claimed, tested, outcome })), [{ claimed: true, tested: false, outcome: "answered" }]);
    await page.context().close();
  });

  test(`hours are tried out, taken over into the editor, and told to the site with the meeting that agreed on them, ${lang}`, async () => {
    const page = await visitor(chrome, demo, { lang });
    await page.goto(`${demo.base}/sites/${site.id}`);
    await page.click("#what-if summary");
    await page.fill("[name=w0-open]", "07:00");
    await page.fill("[name=w0-close]", "10:00");
    for (const day of ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]) await page.check(`[name=w0-days][value=${day}]`);
    await page.click("#what-if button[type=submit]:not([name])");
    await page.waitForSelector("#what-if-result");
    page.wrong.length = 0;
    await inspect(page, `what-if-desk-${lang}`);
    await page.click(t("text=采用这些时段", "text=Take these hours over"));
    await page.waitForURL("**/schedule?**");
    assert.equal(await page.inputValue("[name=w0-open]"), "07:00");
    const from = new Date(Date.now() + 86_400_000 * t(3, 4)).toISOString().slice(0, 10);
    await page.fill("#valid_from", from);
    await page.fill("#reason", "居民会议");
    await page.fill("#met", new Date(Date.now() - 86_400_000 * 3).toISOString().slice(0, 10));
    await page.fill("#note", "二号楼希望早上提前一小时");
    await page.click(t("text=保存新时段", "text=Save the new hours"));
    const version = await eventually("the new hours are kept", async () => {
      const { versions } = await demo.api("GET", `sites/${site.id}/schedule`);
      return versions.find((one) => one.valid_from === from);
    });
    assert.equal(version.reason, "居民会议");
    assert.equal(version.weekly[0].open, "07:00");
    assert.match(await page.textContent("main"), /二号楼希望早上提前一小时/);
    await page.context().close();
  });

  test(`a message is looked at before it is sent, reaches its projector, and is taken back, ${lang}`, async () => {
    const page = await visitor(chrome, demo, { lang });
    await page.goto(`${demo.base}/projectors/new`);
    await page.fill("#text", "分类一小步,{community}一大步");
    await page.selectOption("#target", `site:${site.id}`);
    await page.selectOption("#when", "now");
    await page.fill("#minutes", "5");
    await page.click("button[value=preview]");
    await page.waitForSelector("main section[role=status]");
    assert.match(await page.textContent("main section[role=status]"), new RegExp(`分类一小步,${community.name}一大步`));
    page.wrong.length = 0;
    await inspect(page, `message-preview-desk-${lang}`);
    await page.click("button[value=send]");
    await page.waitForURL("**/projectors/messages/*");
    const id = new URL(page.url()).pathname.split("/").at(-1);
    await eventually("a projector shows it", async () => {
      const message = await demo.api("GET", `projectors/messages/${id}`);
      return message.commands.some((command) => command.state === "displayed");
    });
    await page.reload();
    page.wrong.length = 0;
    await inspect(page, `message-desk-${lang}`);
    await page.goto(`${demo.base}/projectors/messages/${id}/delete`);
    await page.click("main form button[type=submit]");
    await page.waitForURL((address) => !address.pathname.endsWith("/delete"));
    const gone = await fetch(`${demo.base}/api/v1/projectors/messages/${id}`, { headers: { authorization: `Bearer ${demo.token}` } });
    assert.equal(gone.status, 404);
    await page.context().close();
  });

  test(`an alarm is seen to, ${lang}`, async () => {
    // The first event of a bin that no simulated device stands behind: it says that it burns.
    const bin = `burning-${lang}`;
    const { secret } = await demo.api("PUT", `devices/${bin}`, { site: site.id, kind: "bin" });
    assert.ok(secret);
    const event = { boot: 1, seq: 1, time: new Date().toISOString(), type: "alarm", alarm: "fire", active: true };
    const topic = `fenlei/v1/${site.id}/bin/${bin}/event`;
    execFileSync("mosquitto_pub", ["-V", "5", "-q", "1", "-h", "127.0.0.1", "-p", demo.mqtt, "-i", bin, "-u", bin, "-P", secret, "-t", topic, "-m", JSON.stringify(event)]);
    const page = await visitor(chrome, demo, { lang });
    await eventually("the page shows the fire", async () => {
      await page.goto(`${demo.base}/alarms`);
      return page.locator("li.card", { hasText: t("火情", "fire") }).count();
    });
    const card = page.locator("li.card", { hasText: t("火情", "fire") }).first();
    await card.locator("summary").click();
    await card.locator("input[name=note]").fill("已到现场,没有火");
    await card.locator("button[type=submit]").click();
    await page.waitForSelector("text=已到现场,没有火");
    const [alarm] = (await demo.api("GET", `alarms?device=${bin}`)).items;
    assert.equal(alarm.note, "已到现场,没有火");
    await page.context().close();
  });

  test(`the month's report is one page on paper and a workbook, ${lang}`, async () => {
    const page = await visitor(chrome, demo, { lang });
    // The history is of four weeks: one of these two months has at least half of it.
    for (const back of [27, 0]) {
      const month = shanghai.format(new Date(Date.now() - back * 86_400_000)).slice(0, 7);
      await page.goto(`${demo.base}/communities/${community.id}/report?month=${month}`);
      const paper = await page.pdf({ preferCSSPageSize: true });
      const pages = paper.toString("latin1").match(/\/Type\s*\/Page\b/g).length;
      assert.equal(pages, 1, `${month} on one page`);
    }
    const [download] = await Promise.all([page.waitForEvent("download"), page.click(t("text=导出 Excel", "text=Export to Excel"))]);
    assert.match(download.suggestedFilename(), /-report-\d{4}-\d{2}\.xlsx$/);
    const workbook = readFileSync(await download.path());
    assert.equal(workbook.subarray(0, 2).toString(), "PK");
    await page.context().close();
  });

  test(`what is committed appears on an open page by itself, ${lang}`, async () => {
    const page = await visitor(chrome, demo, { lang });
    await page.goto(`${demo.base}/fleet`);
    const bin = `late-${lang}`;
    await demo.api("PUT", `devices/${bin}`, { site: site.id, kind: "bin" });
    // The simulated devices say something every few seconds: that is what the page waits for.
    await page.waitForSelector(`text=${bin}`, { timeout: 120_000 });
    await page.context().close();
  });
}
