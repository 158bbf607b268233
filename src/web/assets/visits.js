// Keeps each record on the phone until it was stored. Every record has a key of its own, so that it is stored once however
// often it is sent. What waits is kept under a name of this account and community: no other account reads it.
"use strict";
(() => {
  const place = document.getElementById("visits");
  const form = place?.querySelector("form");
  if (!form || !window.localStorage) return;
  const status = document.getElementById("visit-status");
  const refusedList = document.getElementById("visit-refused");
  const name = (kind) => `fenlei.visits.${kind}.${place.dataset.queue}`;
  const kept = (kind) => { try { return JSON.parse(localStorage.getItem(name(kind)) ?? "[]"); } catch { return []; } };
  const keep = (kind, records) => records.length ? localStorage.setItem(name(kind), JSON.stringify(records)) : localStorage.removeItem(name(kind));
  const csrf = document.querySelector("meta[name=csrf]").content;
  let words = "";
  const show = () => {
    const waiting = kept("waiting").length;
    const lines = [words, waiting ? `${waiting} ${place.dataset.waiting}` : ""].filter(Boolean);
    status.className = waiting ? "warn" : words ? "done" : "";
    status.replaceChildren(...lines.map((line) => { const p = document.createElement("p"); p.textContent = line; return p; }));
    refusedList.replaceChildren(...kept("refused").map(({ record, detail, key }) => {
      const item = document.createElement("li"), button = document.createElement("button");
      item.className = "error";
      item.textContent = `${place.dataset.refused}${record.household}, ${record.date}. ${detail} `;
      button.className = "secondary";
      button.textContent = place.dataset.discard;
      button.onclick = () => { keep("refused", kept("refused").filter((one) => one.key !== key)); show(); };
      item.append(button);
      return item;
    }));
  };
  let sending = false;
  const send = async () => {
    if (sending) return;
    sending = true;
    try {
      for (let first = kept("waiting")[0]; first; first = kept("waiting")[0]) {
        const headers = { "content-type": "application/json", "idempotency-key": first.key, "x-csrf-token": csrf };
        const answer = await fetch(place.dataset.post, { method: "POST", headers, body: JSON.stringify(first.record) });
        if (answer.status === 401 || answer.status === 403) { words = place.dataset.signIn; break; }
        // Its time will come: the server does not answer for now, or was asked too often.
        if (answer.status >= 500 || answer.status === 429) break;
        if (!answer.ok) {
          const problem = await answer.json().catch(() => ({}));
          const detail = problem.errors?.map((one) => one.error).join("; ") ?? problem.detail ?? answer.status;
          keep("refused", [...kept("refused"), { ...first, detail }]);
        }
        words = answer.ok ? place.dataset.saved : "";
        keep("waiting", kept("waiting").filter((one) => one.key !== first.key));
      }
    } catch { /* No network: what waits is kept. */ } finally { sending = false; show(); }
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const fields = new FormData(form), outcome = fields.get("outcome");
    const answer = (field) => outcome === "answered" && fields.get(field) ? fields.get(field) === "true" : null;
    const record = {
      household: fields.get("household"), date: fields.get("date"), kind: fields.get("kind"), outcome,
      claimed: answer("claimed"), tested: answer("tested"),
    };
    const random = crypto.getRandomValues(new Uint8Array(16));
    const key = Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("");
    keep("waiting", [...kept("waiting"), { record, key }]);
    words = "";
    const { date, kind } = record;
    form.reset();
    form.elements.date.value = date;
    form.elements.kind.value = kind;
    show();
    answers();
    document.getElementById("household").focus();
    send();
  });
  // Answers belong to who answered: otherwise they are not asked for.
  const answers = () => {
    const answered = form.elements.outcome.value === "answered" || form.elements.outcome.value === "";
    for (const part of form.querySelectorAll(".answers")) part.hidden = !answered;
  };
  form.addEventListener("change", answers);
  window.addEventListener("online", send);
  setInterval(() => { if (kept("waiting").length) send(); }, 15000);
  answers();
  show();
  send();
})();
