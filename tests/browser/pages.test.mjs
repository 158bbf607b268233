// Every page on the sample neighbourhood, in both languages, at a desk and on a phone.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { browser, demonstration, inspect, languages, sizes, visitor } from "./support.mjs";

let demo, chrome;
before(async () => {
  demo = await demonstration();
  chrome = await browser();
});
after(async () => {
  await chrome?.close();
  demo?.stop();
});

const month = new Intl.DateTimeFormat("en-CA", { timeZone: "Asia/Shanghai", year: "numeric", month: "2-digit" });
const pages = async () => {
  const [community] = (await demo.api("GET", "communities")).items;
  const site = (await demo.api("GET", "sites")).items.find((site) => site.community === community.id);
  const device = (await demo.api("GET", `devices?site=${site.id}`)).items[0];
  return {
    overview: "/",
    community: `/communities/${community.id}`,
    "community-days": `/communities/${community.id}?period=day`,
    ledger: `/communities/${community.id}/ledger`,
    report: `/communities/${community.id}/report?month=${month.format(new Date()).slice(0, 7)}`,
    visits: `/communities/${community.id}/visits`,
    awareness: `/communities/${community.id}/awareness`,
    sites: "/sites",
    site: `/sites/${site.id}`,
    schedule: `/sites/${site.id}/schedule`,
    projectors: "/projectors",
    alarms: "/alarms",
    fleet: "/fleet",
    "fleet-quarantine": `/fleet/${device.id}/quarantine`,
    definitions: "/definitions",
    doorstep: `/communities/${community.id}/doorstep`,
    "visits-import": `/communities/${community.id}/visits/import`,
    "projectors-new": "/projectors/new",
    privacy: "/privacy",
    admin: "/admin",
    "admin-organizations": "/admin/organizations",
    "admin-communities": "/admin/communities",
    "admin-sites": "/admin/sites",
    "admin-devices": "/admin/devices",
    "admin-projects": "/admin/projects",
    "admin-households": `/admin/households?community=${community.id}`,
    "admin-accounts": "/admin/accounts",
    "admin-tokens": "/admin/tokens",
    "admin-audit": "/admin/audit",
    account: "/account",
    board: `/board/${community.id}`,
  };
};

for (const size of Object.keys(sizes)) {
  for (const lang of Object.keys(languages)) {
    test(`every page, ${size}, ${lang}`, async (context) => {
      const page = await visitor(chrome, demo, { size, lang });
      for (const [name, path] of Object.entries(await pages())) {
        await context.test(name, async () => {
          page.wrong.length = 0;
          const address = name === "board" ? `${path}?lang=${lang}` : path;
          const answer = await page.goto(demo.base + address, { waitUntil: "load" });
          assert.equal(answer.status(), 200, address);
          const seen = await inspect(page, `${name}-${size}-${lang}`);
          assert.equal(seen.lang, languages[lang]);
        });
      }
      await page.context().close();
    });
  }
}
