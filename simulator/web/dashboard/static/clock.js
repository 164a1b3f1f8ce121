// The tenant's clock ticks on the page, by its distance to this machine's; nobody is asked what time it is.
const faces = document.querySelectorAll("[data-clock] time");
const box = document.querySelector("[data-clock]");

let ahead = 0;
let frozen = false;

function stand(now, isFrozen) {
  ahead = Date.parse(now) - Date.now();
  frozen = isFrozen;
  for (const sign of document.querySelectorAll("[data-clock] .tag")) sign.hidden = !frozen;
  show(Date.parse(now));
}

function show(moment) {
  const text = new Date(moment).toISOString();
  for (const face of faces) {
    face.dateTime = text;
    face.textContent = `${text.slice(0, 10)} ${text.slice(11, 19)} UTC`;
  }
}

export function watchClock(stream) {
  if (!box) return;
  stand(faces[0].dateTime, box.dataset.frozen === "true");
  setInterval(() => {
    if (!frozen && !document.hidden) show(Date.now() + ahead);
  }, 1000);
  stream.on("clock", (event) => stand(event.now, event.frozen));
}
