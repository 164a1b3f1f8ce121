// Forms: choices that submit at once, questions before something is lost, the curl that follows what is typed, what became of it.
for (const choice of document.querySelectorAll("[data-autosubmit]")) {
  choice.addEventListener("change", () => choice.form.requestSubmit());
}

document.addEventListener("submit", (event) => {
  const question = event.submitter?.dataset.confirm || event.target.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
  else remember(event.target);
});

function remember(form) {
  const hash = new URL(form.elements.back?.value || "", location.href).hash;
  const section = hash && document.getElementById(decodeURIComponent(hash.slice(1)));
  if (section) sessionStorage.setItem("left", `${hash} ${section.getBoundingClientRect().top}`);
}

for (const form of document.querySelectorAll("form[data-curl]")) {
  const shown = document.getElementById(form.dataset.curl);
  const update = () => (shown.textContent = command(form));
  form.addEventListener("input", update);
  update();
}

function command(form) {
  const told = form.dataset;
  const body = JSON.parse(told.fixed || "{}");
  const choices = Array.from(form.querySelectorAll('[data-json="list"]'));
  if (choices.length && !choices.some((choice) => choice.checked)) return "# choose at least one";
  for (const field of form.querySelectorAll("[data-json]")) {
    if ((field.type === "radio" || field.type === "checkbox") && !field.checked) continue;
    const value = field.value.trim();
    if (!value) continue;
    if (field.dataset.json === "list") body[field.name] = [...(body[field.name] || []), value];
    else body[field.name] = field.dataset.json === "number" ? Number(value) : field.dataset.json === "true" ? true : value;
  }
  const parts = [`curl -X ${told.method} ${quoted(told.address)}`];
  if (told.header) parts.push(`-H "${told.header}"`);
  if (Object.keys(body).length) parts.push(`-d ${quoted(JSON.stringify(body))}`);
  return parts.join(" ");
}

function quoted(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`;
}

// What became of an action is told once: not again with the page's next load, nor to whom its address is given.
const place = new URL(location.href);
if (place.searchParams.has("notice")) {
  place.searchParams.delete("notice");
  // The address leads to the top of the section; with a script it stays where it stood on the screen.
  const [hash, top] = (sessionStorage.getItem("left") || "").split(" ");
  const section = hash === place.hash && document.getElementById(decodeURIComponent(hash.slice(1)));
  const stay = () => scrollBy({ top: section.getBoundingClientRect().top - Number(top), behavior: "instant" });
  // The browser goes to the section in the first frame after the page has loaded, so this is the one after it.
  if (section) addEventListener("load", () => requestAnimationFrame(() => requestAnimationFrame(stay)));
  history.replaceState(history.state, "", place);
}
sessionStorage.removeItem("left");
document.querySelector(".notice [data-close]")?.addEventListener("click", (event) => {
  event.preventDefault();
  event.target.closest(".notice").remove();
});
