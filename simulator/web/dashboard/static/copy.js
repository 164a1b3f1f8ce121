// Copy buttons: each names the element whose text it takes.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const text = document.getElementById(button.dataset.copy)?.textContent || "";
  const label = button.querySelector("span") || button;
  const before = button.dataset.word || (button.dataset.word = label.textContent);
  label.textContent = (await copied(text)) ? "Copied" : "Press Ctrl-C";
  clearTimeout(Number(button.dataset.timer));
  button.dataset.timer = String(setTimeout(() => (label.textContent = before), 1600));
});

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copiedByHand(text); // no clipboard where the page came over plain HTTP from another machine
  }
}

function copiedByHand(text) {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "sr";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}
