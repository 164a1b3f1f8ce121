// Keys: j and k (or the arrows) go through the rows of a list, / goes to the filters, p pauses, Escape leaves a field.
const LISTS = "#rows .over, [data-keys] a.over, [data-keys] summary";

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.closest("input, select, textarea");
  if (typing) {
    if (event.key === "Escape") typing.blur();
    return;
  }
  const onList = event.target.closest("#rows, [data-keys]");
  if (event.key === "j" || (event.key === "ArrowDown" && onList)) move(event, 1);
  else if (event.key === "k" || (event.key === "ArrowUp" && onList)) move(event, -1);
  else if (event.key === "/") goTo(event, document.querySelector("#filters :is(select, input:not([type=hidden])), [data-filter-field]"));
  else if (event.key === "p") document.getElementById("pause")?.click();
  else if (event.key === "Escape" && document.activeElement !== document.body) document.activeElement.blur();
});

function move(event, step) {
  const items = Array.from(document.querySelectorAll(LISTS)).filter((item) => item.offsetParent !== null);
  if (!items.length) return;
  const place = items.indexOf(document.activeElement);
  const next = place < 0 ? (step > 0 ? 0 : items.length - 1) : Math.min(items.length - 1, Math.max(0, place + step));
  goTo(event, items[next]);
  items[next].scrollIntoView({ block: "nearest" });
}

function goTo(event, element) {
  if (!element) return;
  event.preventDefault();
  element.focus();
}
