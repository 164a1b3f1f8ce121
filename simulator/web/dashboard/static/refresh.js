// Regions that follow what happens: the server renders the page again, and the marked parts of it are swapped.
import { KINDS } from "./live.js";

const LEAST = 1000; // milliseconds between two looks
const SOON = 150; // after a quiet time: what comes together is shown together
const SHARE = 50; // a page that takes the server 1 ms to render is asked for every 50 ms at most

let busy = false;
let cost = 0; // milliseconds that the last page took the server

/** Returns this page, or another address, as the server renders it now; null when it does not answer. */
export async function pageAgain(address = location.href) {
  const began = performance.now();
  try {
    const answer = await fetch(address, { headers: { Accept: "text/html" }, credentials: "same-origin" });
    // How long it took the network is no work of the server's; only where nothing tells them apart, all counts.
    const told = /dur=([\d.]+)/.exec(answer.headers.get("Server-Timing"));
    cost = told ? Number(told[1]) : performance.now() - began;
    if (!answer.ok || answer.redirected) return null;
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  } catch {
    return null;
  }
}

export function watchRegions(stream) {
  if (!document.querySelector("[data-live]")) return;
  const every = Number(document.body.dataset.every) || LEAST;
  const settles = Number(document.body.dataset.settles) || 2 * every; // rates and gauges fall after the last event too
  const again = document.body.dataset.again || location.href; // where the regions are told without what costs more
  let last = 0;
  let due = false;
  let heard = 0;

  async function look() {
    due = false;
    if (document.hidden || busy) return;
    busy = true;
    const began = performance.now();
    const page = await pageAgain(again);
    last = performance.now();
    busy = false;
    if (page) for (const region of document.querySelectorAll("[data-live][id]")) swap(region, page.getElementById(region.id));
    if (began < heard + settles) plan();
  }

  function plan() {
    if (due) return;
    due = true;
    const rested = last + Math.max(every, SHARE * cost) - performance.now();
    setTimeout(look, Math.max(SOON, rested));
  }

  function hear() {
    heard = performance.now();
    plan();
  }

  for (const kind of KINDS) stream.on(kind, hear);
  stream.onBack(hear);
}

function swap(region, fresh) {
  if (!fresh) return;
  const open = new Set(Array.from(region.querySelectorAll("details[open][id]"), (item) => item.id));
  for (const item of fresh.querySelectorAll("details[id]")) if (open.has(item.id)) item.open = true;
  if (region.isEqualNode(fresh)) return;
  // Whoever is in the middle of something there keeps what they have: types, presses a button, takes a text.
  const own = region.contains(document.activeElement) ? document.activeElement : null;
  if (own?.matches("input, select, textarea") || region.matches(":active")) return;
  if (region.contains(getSelection()?.anchorNode) && !getSelection().isCollapsed) return;
  const seen = own?.matches(":focus-visible");
  const next = own && counterpart(own, fresh);
  const scrolled = new Map(Array.from(region.querySelectorAll("[id]"), (item) => [item.id, item.scrollTop]).filter(([, top]) => top));
  region.replaceChildren(...fresh.childNodes);
  for (const [id, top] of scrolled) {
    const item = document.getElementById(id);
    if (item) item.scrollTop = top;
  }
  next?.focus({ preventScroll: true, focusVisible: seen });
}

/** Returns what stands in the fresh region for an element of the shown one: what has its name, or does the same. */
function counterpart(item, fresh) {
  const name = item.id || item.dataset.copy || (item.localName === "summary" && item.parentElement.id);
  return Array.from(fresh.querySelectorAll(item.localName)).find((other) => {
    if (name) return [other.id, other.dataset.copy, other.parentElement.id].includes(name);
    return other.isEqualNode(item) && (!item.form || item.form.isEqualNode(other.form));
  });
}
