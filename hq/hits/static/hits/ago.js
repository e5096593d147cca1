/* Keeps "12 s ago" true while a page stands open. */
"use strict";

function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60), hours = Math.floor(whole / 3600);
  if (hours === 0) return `${minutes} min`;
  if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, "0")} min`;
  return `${Math.floor(hours / 24)} days`;
}

function tick() {
  for (const one of document.querySelectorAll(".ago[data-since]")) {
    const words = span((Date.now() - Date.parse(one.dataset.since)) / 1000);
    if (one.textContent !== words) one.textContent = words;
  }
}

tick();
setInterval(tick, 1000);
