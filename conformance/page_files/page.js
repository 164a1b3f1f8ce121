"use strict";
(function () {
  var root = document.documentElement;
  root.classList.add("scripted");

  var chosen = new Set();
  var words = "";
  function shown(item) {
    var fits = chosen.size === 0 || chosen.has(item.dataset.verdict);
    return fits && item.dataset.words.toLowerCase().indexOf(words) !== -1;
  }
  function sift() {
    var count = 0;
    document.querySelectorAll("details.row").forEach(function (item) {
      item.hidden = !shown(item);
      count += item.hidden ? 0 : 1;
    });
    document.querySelectorAll("section.group").forEach(function (group) {
      group.hidden = group.querySelector("details.row:not([hidden])") === null;
    });
    document.getElementById("count").textContent = count + " shown";
  }
  document.querySelectorAll("button[data-filter]").forEach(function (button) {
    button.addEventListener("click", function () {
      var verdict = button.dataset.filter;
      if (chosen.has(verdict)) { chosen.delete(verdict); } else { chosen.add(verdict); }
      button.setAttribute("aria-pressed", String(chosen.has(verdict)));
      sift();
    });
  });
  document.getElementById("words").addEventListener("input", function (event) {
    words = event.target.value.trim().toLowerCase();
    sift();
  });
  document.getElementById("theme").addEventListener("click", function () {
    var dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  });
  document.querySelectorAll("button[data-copy]").forEach(function (button) {
    button.hidden = !navigator.clipboard;
    button.addEventListener("click", function () {
      navigator.clipboard.writeText(button.parentElement.nextElementSibling.textContent).then(function () {
        button.textContent = "Copied";
      }, function () { button.textContent = "Select it by hand"; });
    });
  });
  function reveal() {
    var place = location.hash ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
    for (var node = place; node; node = node.parentElement) {
      if (node.tagName === "DETAILS") { node.open = true; }
    }
    if (place) { place.scrollIntoView(); }
  }
  addEventListener("hashchange", reveal);
  sift();
  reveal();
})();
