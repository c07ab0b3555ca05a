// The console's script. Everything works without it; with it pages are live, have keys, copy ids and keep
// their times fresh. No framework, no build.
"use strict";

(() => {
  const every = (selector, root = document) => Array.from(root.querySelectorAll(selector));
  const typing = (target) => target.closest?.("input, textarea, select, [contenteditable]");

  // Times: the same words as the server's.
  const span = (seconds) =>
    seconds < 60 ? `${seconds} s`
    : seconds < 3600 ? `${Math.floor(seconds / 60)} min`
    : seconds < 172800 ? `${Math.floor(seconds / 3600)} h`
    : `${Math.floor(seconds / 86400)} d`;
  // The server's clock is the right one: what the page says of "now" is measured from when it came.
  const times = () => {
    const now = Math.floor(Date.now() / 1000);
    for (const time of every("time[data-at]")) {
      const since = now - Number(time.dataset.at);
      const text = since === 0 ? "now" : since > 0 ? `${span(since)} ago` : `in ${span(-since)}`;
      if (time.textContent !== text) time.textContent = text;
    }
  };

  // Ids
  const copies = (root = document) => every("button.copy[hidden]", root).forEach((button) => { button.hidden = false; });
  const copy = async (button) => {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "Copied";
    } catch {
      // Without a secure origin there is no clipboard: the text is selected, for the person's own copy.
      const range = document.createRange();
      range.selectNodeContents(button.previousElementSibling);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      button.textContent = "Selected";
    }
    button.classList.add("done");
    setTimeout(() => { button.textContent = "Copy"; button.classList.remove("done"); }, 1500);
  };

  // Live: the page fetches itself and puts in place what changed, by id.
  // What this script did to a part (relative times, marks) is no difference.
  const bare = (node) => {
    const clone = node.cloneNode(true);
    every("time[data-at]", clone).forEach((time) => { time.textContent = ""; });
    every("button.copy", clone).forEach((button) => { button.hidden = true; button.textContent = "Copy"; button.className = "copy"; });
    for (const each of [clone, ...every(".here, .fresh", clone)]) {
      each.classList.remove("here", "fresh");
      if (!each.className) each.removeAttribute("class");
    }
    return clone.outerHTML;
  };
  const same = (a, b) => bare(a) === bare(b);
  const lines = "tbody tr, li, .figures > div, .facts dd";
  // The lines that were not there before are lit for a moment.
  const light = (before, after) => {
    const known = new Set(every(lines, before).map((line) => line.textContent.replace(/\d+ (s|min|h|d) ago|now/g, "")));
    for (const line of every(lines, after)) {
      if (!known.has(line.textContent.replace(/\d+ (s|min|h|d) ago|now/g, ""))) line.classList.add("fresh");
    }
  };
  let looking = false;
  let again = false;
  let lastLook = 0;
  const look = async () => {
    if (looking) { again = true; return; }
    looking = true;
    try {
      do {
        again = false;
        const wait = 250 - (Date.now() - lastLook);
        if (wait > 0) await new Promise((done) => setTimeout(done, wait));
        lastLook = Date.now();
        const answer = await fetch(location.href, { headers: { "x-look": "1" }, redirect: "manual" });
        if (!answer.ok) break;
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const part of every("[data-live]")) {
          const next = fresh.getElementById(part.id);
          // What a person is working in is left alone.
          const busy = part.contains(document.activeElement) && typing(document.activeElement);
          const open = part.querySelector("details[open]");
          if (!next || busy || open || same(part, next)) continue;
          const focused = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
          const row = every("tr", part).findIndex((each) => each.classList.contains("here"));
          part.replaceWith(next);
          copies(next);
          if (part.id !== "nav") light(part, next);
          if (row >= 0) every("tr", next)[row]?.classList.add("here");
          if (focused) every("a[href]", next).find((link) => link.getAttribute("href") === focused)?.focus();
        }
        times();
      } while (again);
    } catch {
      // The coordinator is away: the stream says when it is back.
    } finally {
      looking = false;
    }
  };
  const listen = () => {
    const at = document.body.dataset.events;
    if (!at || !window.EventSource || !document.querySelector("[data-live]")) return;
    let stream;
    let was = false;
    const open = () => {
      if (stream) return;
      stream = new EventSource(at);
      stream.onmessage = look;
      stream.onopen = () => { if (was) look(); was = true; };
      stream.onerror = () => {
        if (stream.readyState === EventSource.CLOSED) { stream = null; setTimeout(() => { if (!document.hidden) open(); }, 5000); }
      };
    };
    const close = () => { stream?.close(); stream = null; };
    // A page that nobody looks at holds no connection.
    document.addEventListener("visibilitychange", () => { document.hidden ? close() : open(); });
    addEventListener("pagehide", close);
    addEventListener("pageshow", (event) => { if (event.persisted) { look(); open(); } });
    open();
  };

  // Keys
  let leader = 0;
  const rows = () => every("table.rows tbody tr");
  const move = (by) => {
    const all = rows();
    if (!all.length) return;
    const at = all.findIndex((row) => row.classList.contains("here"));
    const to = Math.min(Math.max(at + by, 0), all.length - 1);
    all[at]?.classList.remove("here");
    all[to].classList.add("here");
    all[to].scrollIntoView({ block: "nearest" });
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      every("details.menu[open]").forEach((menu) => { menu.open = false; });
      rows().forEach((row) => row.classList.remove("here"));
      if (typing(event.target)) event.target.blur();
      return;
    }
    if (typing(event.target)) return;
    if (leader && Date.now() - leader < 1500) {
      leader = 0;
      const link = document.querySelector(`[data-go="${CSS.escape(event.key)}"]`);
      if (link) { event.preventDefault(); link.click(); }
      return;
    }
    switch (event.key) {
      case "/": {
        const box = document.getElementById("search");
        if (box) { event.preventDefault(); box.focus(); box.select(); }
        break;
      }
      case "g": leader = Date.now(); break;
      case "j": move(1); break;
      case "k": move(-1); break;
      case "Enter": {
        if (event.target.closest("a, button, summary")) break;
        document.querySelector("table.rows tr.here a")?.click();
        break;
      }
    }
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button.copy");
    if (button) copy(button);
    every("details.menu[open]").forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
  });
  // One press is one request.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    setTimeout(() => delete form.dataset.sent, 5000);
  });
  // What was typed and not saved is not lost by a slip.
  let edited = false;
  document.addEventListener("input", (event) => { if (event.target.closest("form.settings")) edited = true; });
  document.addEventListener("submit", () => { edited = false; });
  addEventListener("beforeunload", (event) => { if (edited) event.preventDefault(); });

  copies();
  times();
  setInterval(times, 1000);
  listen();
})();
