// Makes a page live: what carries data-live is fetched again after something was committed, at most every two seconds.
"use strict";
(() => {
  const parts = document.querySelectorAll("[data-live][id]");
  if (!parts.length || !window.EventSource) return;
  let waiting = false;
  const renew = async () => {
    waiting = false;
    const answer = await fetch(location.href, { headers: { accept: "text/html" } }).catch(() => null);
    if (!answer || !answer.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of parts) {
      const fresh = page.getElementById(part.id);
      // Nobody's words or place are taken from under their fingers.
      if (fresh && !part.contains(document.activeElement)) part.replaceChildren(...fresh.childNodes);
    }
  };
  const stream = new EventSource("/api/v1/stream");
  const soon = () => {
    if (waiting || document.hidden) return;
    waiting = true;
    setTimeout(renew, 2000);
  };
  for (const type of ["deposit", "judgement", "fill", "emptied", "door", "alarm", "display", "executed", "sighting", "heartbeat", "lost"])
    stream.addEventListener(type, soon);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) soon(); });
})();
