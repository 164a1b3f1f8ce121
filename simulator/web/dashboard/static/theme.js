// The colours change without a new page; the cookie tells the server, so that the next page comes in them.
for (const button of document.querySelectorAll("[data-theme-choice]")) {
  button.addEventListener("click", (event) => {
    event.preventDefault();
    const chosen = button.value;
    document.documentElement.dataset.theme = chosen;
    document.cookie = `leadsandbox_theme=${chosen}; path=/__sandbox; max-age=31536000; samesite=strict`;
    for (const other of document.querySelectorAll("[data-theme-choice]")) {
      other.setAttribute("aria-pressed", String(other === button));
    }
  });
}
