// The live list: newest first, a bounded number of rows, one change of the document per frame however many come.
// The stream brings what the filters let through, at most what fills the list twice a second, and says what it left out.
import { pageAgain } from "./refresh.js";

// Marks that show nothing and change how the rest reads, as the server's pages spell them out too.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const FEW = 10; // rows at a time that are worth pointing out; more come faster than anybody reads
const REST = 300; // milliseconds without a change of the list after many came at once
const EMPTIED = 1000; // milliseconds from a reset to the new list: what is told with it is older, and resets may be many
const SPELL = 10000; // milliseconds without anything left out, after which it is worth saying again that something is

export function watchTraffic(stream) {
  const box = document.getElementById("traffic");
  const table = box.querySelector("table");
  const rows = document.getElementById("rows");
  const template = document.getElementById("row-template").content.querySelector("tr");
  const pause = document.getElementById("pause");
  const said = document.getElementById("said");
  const keep = Number(box.dataset.keep);
  const leftOut = document.getElementById("left-out");
  let older = document.getElementById("older");
  const isFirstPage = !("older" in box.dataset);
  let waiting = [];
  let unseen = 0;
  let left = 0;
  let lastLeft = -SPELL;
  let asked = false;
  let restUntil = 0;
  let paused = false;
  let stale = false; // whether the list lacks what was missed while it stood still
  let meanwhile = null; // what streams in while the list is fetched anew, which may be older than it
  let renewals = 0;
  let emptied = 0;

  pause.hidden = !isFirstPage;

  function take(event) {
    if (meanwhile) {
      meanwhile.push(event);
      if (meanwhile.length > keep) meanwhile.shift();
      return;
    }
    unseen += 1;
    waiting.push(event);
    if (waiting.length > keep * 2) waiting = waiting.slice(-keep);
    ask();
  }

  function ask() {
    if (asked) return;
    asked = true;
    const rest = restUntil - performance.now();
    if (rest > 0) setTimeout(() => requestAnimationFrame(draw), rest);
    else requestAnimationFrame(draw);
  }

  function draw() {
    asked = false;
    if (paused) {
      pause.textContent = `Resume (${unseen}${stale ? " or more" : ""} new)`;
      return;
    }
    const batch = waiting.slice(-keep).reverse();
    waiting = [];
    unseen = 0;
    if (!batch.length) return;
    const known = new Set(Array.from(rows.children, (row) => row.dataset.id));
    const fresh = document.createDocumentFragment();
    for (const event of batch) if (!known.has(event.id)) fresh.append(rowOf(event, template, box.dataset));
    if (batch.length <= FEW) for (const row of fresh.children) row.classList.add("fresh");
    else restUntil = performance.now() + REST;
    const scrolled = window.scrollY > 0 && box.getBoundingClientRect().top < 0;
    const before = rows.offsetHeight;
    rows.prepend(fresh);
    // The row that somebody is on is never taken away; the ones before it are.
    const over = Array.from(rows.children).slice(keep);
    for (const row of over) if (!row.contains(document.activeElement)) row.remove();
    if (over.length) leadOn();
    if (scrolled) window.scrollBy(0, rows.offsetHeight - before);
    const empty = document.getElementById("empty");
    if (empty) empty.remove();
    table.hidden = false;
  }

  /** Lets "Older requests" go on where this list ends: it ends elsewhere with each row that falls off. */
  function leadOn() {
    const link = older.querySelector("a");
    const address = new URL(link.href);
    address.searchParams.set("after", rows.children[keep - 1].dataset.id);
    link.href = address;
    older.hidden = false;
  }

  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Resume" : "Pause";
    said.textContent = paused ? "Paused" : "Live again";
    ask();
    if (stale && !paused) renew();
  });

  /** Shows the list as the server has it: what the stream did not tell is in it too. */
  async function renew() {
    stale = paused;
    if (paused) return ask();
    const own = ++renewals;
    meanwhile ||= [];
    const page = await pageAgain();
    if (own !== renewals) return; // the one that was asked for later knows more
    const later = meanwhile;
    meanwhile = null;
    const found = page?.getElementById("rows");
    stale = paused || !found;
    if (stale) {
      ask();
    } else {
      waiting = []; // was told before the list was asked for
      rows.replaceChildren(...found.children);
      older.replaceWith(page.getElementById("older"));
      older = document.getElementById("older");
      const [shown, empty] = [document, page].map((one) => one.getElementById("empty"));
      if (!empty) shown?.remove();
      else if (!shown) table.after(empty);
      table.hidden = Boolean(empty);
    }
    for (const event of later) take(event);
  }

  function afterReset() {
    emptied = 0;
    renew();
  }

  if (!isFirstPage) return;
  stream.on("request", take);
  stream.on("dropped", (event) => {
    left += event.events;
    unseen += event.events;
    leftOut.hidden = false;
    leftOut.firstElementChild.textContent = `${left.toLocaleString("en")} request${left === 1 ? "" : "s"}`;
    // Told aloud once for a while: they go on as long as requests come fast.
    if (performance.now() - lastLeft > SPELL) said.textContent = "Requests come too fast to list each of them";
    lastLeft = performance.now();
  });
  stream.on("state", (event) => {
    if (event.reset?.includes("journal")) emptied ||= setTimeout(afterReset, EMPTIED);
  });
  stream.onBack(renew);
}

function rowOf(event, template, told) {
  const row = template.cloneNode(true);
  const cell = (name) => row.querySelector(`.c-${name}`);
  row.dataset.id = event.id;
  const time = cell("time").firstElementChild;
  time.dateTime = event.at;
  time.textContent = event.at.slice(11, 23);
  const status = cell("status").firstElementChild;
  status.textContent = event.http;
  status.className = `status ${event.http < 400 ? "ok" : event.http >= 500 ? "bad" : "odd"}`;
  const link = cell("what").querySelector("a");
  link.href = `${told.pageOf}${encodeURIComponent(event.id)}${told.query}`;
  link.querySelector(".method").textContent = event.method;
  link.querySelector("bdi").textContent = shorter(event.path, 200);
  cell("op").textContent = event.operation === "*" ? "none" : event.operation;
  if (event.source_id) {
    const name = document.createElement("bdi");
    name.textContent = shorter(event.source_id, 80);
    cell("source").replaceChildren(name);
  }
  cell("row").firstElementChild.textContent = event.row_id;
  cell("why").firstElementChild.textContent = shorter(event.detail || event.reason.replaceAll("_", " "), 200);
  if (event.triggers.length) {
    const tag = document.createElement("span");
    tag.className = "tag";
    tag.textContent = "trigger";
    cell("why").append(" ", tag);
  }
  cell("ms").textContent = milliseconds(event.duration_ms);
  return row;
}

function shorter(text, length) {
  const cut = text.length <= length ? text : `${text.slice(0, length - 1)}…`;
  return cut.replace(UNSEEN, (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function milliseconds(value) {
  if (value >= 1000) return `${(value / 1000).toFixed(2)} s`;
  return `${value.toFixed(value >= 10 ? 0 : 1)} ms`;
}
