// What every page does with a script, beyond what it does without one. The parts a page needs load with it.
import "./copy.js";
import "./theme.js";
import "./forms.js";
import "./keys.js";
import { watchClock } from "./clock.js";
import { listen } from "./live.js";
import { watchTraffic } from "./traffic.js";
import { watchRegions } from "./refresh.js";

for (const element of document.querySelectorAll("[data-with-script]")) element.hidden = false;
for (const element of document.querySelectorAll("[data-without-script]")) element.hidden = true;

// On a narrow screen the pages stand in one line, which scrolls.
document.querySelector(".side nav [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });

if (document.body.dataset.events) {
  const stream = listen(document.body.dataset.events, document.getElementById("connection"));
  if (document.getElementById("traffic")) watchTraffic(stream);
  watchClock(stream);
  watchRegions(stream);
}
