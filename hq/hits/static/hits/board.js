/* The live board: listens for changes, asks for the rows, sounds the alarm, moves by keys.
   What is on the screen came from a page that was checked and logged; the stream only says that there is more. */
"use strict";

(() => {
  const board = document.getElementById("board");
  const live = document.getElementById("live");
  const words = document.getElementById("live-words");
  const said = document.getElementById("said");
  const soundButton = document.getElementById("sound");
  const title = document.title;
  const DEAF_MS = 15000, AGAIN_MS = 6000;
  let source = null, heard = 0, busy = false, again = false, lost = "", seen = "";
  let known = new Set(alarms().map((row) => row.dataset.id));

  function alarms() { return [...document.querySelectorAll(".hit[data-alarm]")]; }
  function rows() { return [...document.querySelectorAll(".hit")]; }

  /* the stream */
  function listen() {
    if (source) source.close();
    const mark = document.getElementById("hits").dataset.mark;
    source = new EventSource(`${board.dataset.stream}?mark=${encodeURIComponent(mark)}`);
    source.addEventListener("open", alive);
    source.addEventListener("beat", alive);
    source.addEventListener("changed", () => { alive(); refresh(); });
    source.addEventListener("error", () => {
      /* A stream that ends is opened again by the browser; one that was refused is not. */
      if (source.readyState === EventSource.CLOSED) setTimeout(refused, 2000);
    });
  }
  function alive() { heard = Date.now(); lost = ""; show(); }
  async function refused() { await refresh(); listen(); }

  function show() {
    const on = !lost && Date.now() - heard < DEAF_MS;
    live.classList.toggle("on", on);
    const text = on ? "LIVE" : `NOT LIVE: ${lost || (heard ? "no word from HQ for " + span((Date.now() - heard) / 1000) : "connecting")}`;
    if (words.textContent !== text) words.textContent = text;
    board.classList.toggle("deaf", !on);
  }

  async function refresh() {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const answer = await fetch(board.dataset.rows, { headers: { Accept: "text/html" } });
      /* Sent elsewhere: the session is locked or has ended, or a right has. That page says so itself. */
      if (answer.redirected || answer.status === 403) { location.reload(); return; }
      if (!answer.ok) { lost = answer.status === 503 ? "the access log cannot be written, so nothing is shown" : "HQ failed"; show(); return; }
      lost = "";
      put(await answer.text());
    } catch { lost = "HQ cannot be reached"; show(); } finally {
      busy = false;
      if (again) { again = false; refresh(); }
    }
  }

  function put(html) {
    const old = document.getElementById("hits");
    const focused = document.activeElement?.closest?.(".hit")?.id;
    const made = new DOMParser().parseFromString(html, "text/html").getElementById("hits");
    if (!made) { location.reload(); return; }
    /* A picture that is shown already is not fetched, and logged, once more. */
    for (const image of made.querySelectorAll("img[src]")) {
      const shown = [...old.querySelectorAll("img[src]")].find((one) => one.getAttribute("src") === image.getAttribute("src"));
      if (shown) image.replaceWith(shown);
    }
    old.replaceWith(document.adoptNode(made));
    if (seen && !document.getElementById(seen)?.dataset.alarm) {
      /* On to the next alarm: the row that was acknowledged moves down among the others. */
      seen = "";
      document.querySelector(".hit.first")?.focus();
    } else if (focused) document.getElementById(focused)?.focus();
    tick();
    tell();
  }

  function entitle(count) {
    const more = "beyond" in document.getElementById("hits").dataset ? "+" : "";
    document.title = count ? `(${count}${more}) HIT · ${title}` : title;
  }
  function tell() {
    const now = alarms();
    const fresh = now.filter((row) => !known.has(row.dataset.id));
    known = new Set(now.map((row) => row.dataset.id));
    entitle(now.length);
    if (!fresh.length) return;
    const first = fresh[0];
    said.textContent = `${fresh.length > 1 ? fresh.length + " new hits. " : "New hit. "}${first.querySelector(".status").textContent}. ${first.querySelector(".claim").textContent}`;
    sound(first.dataset.alarm);
  }

  /* sound: made here, no file; a browser lets none out before somebody has pressed something */
  let audio = null, on = false, last = 0;
  function switchSound() {
    audio = audio || new AudioContext();
    on = !on;
    if (on) audio.resume().then(() => sound("other"));
    soundButton.setAttribute("aria-pressed", String(on));
    document.getElementById("sound-words").textContent = on ? "Sound is ON" : "Sound is OFF";
  }
  function sound(kind) {
    if (!on || !audio) return;
    last = Date.now();
    const notes = kind === "exact" ? [880, 660, 880, 660, 880, 660] : [523, 523];
    notes.forEach((pitch, place) => {
      const tone = audio.createOscillator(), gain = audio.createGain();
      const start = audio.currentTime + place * 0.22;
      tone.type = "triangle";
      tone.frequency.value = pitch;
      gain.gain.setValueAtTime(0.0001, start);
      gain.gain.exponentialRampToValueAtTime(0.5, start + 0.02);
      gain.gain.exponentialRampToValueAtTime(0.0001, start + 0.2);
      tone.connect(gain).connect(audio.destination);
      tone.start(start);
      tone.stop(start + 0.21);
    });
  }

  /* keys: only while the board has the focus, so that they take none from a form or a reader */
  function move(by) {
    const all = rows();
    if (!all.length) return;
    const at = all.indexOf(document.activeElement?.closest?.(".hit"));
    const to = all[at < 0 ? 0 : Math.min(all.length - 1, Math.max(0, at + by))];
    to.focus();
    to.scrollIntoView({ block: "nearest" });
  }
  function chosen() { return document.activeElement?.closest?.(".hit") || document.querySelector(".hit.first") || rows()[0]; }
  async function acknowledge(form) {
    try {
      const answer = await fetch(form.action, { method: "POST", body: new FormData(form) });
      if (!answer.ok) { location.reload(); return; }
    } catch { lost = "HQ cannot be reached"; show(); return; }
    seen = form.closest(".hit").id;
    await refresh();
  }
  function full() {
    if (document.fullscreenElement) document.exitFullscreen();
    else board.requestFullscreen().then(() => board.focus()).catch(() => {});
  }

  board.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const on_control = event.target.closest("a, button, input, select, textarea");
    const key = event.key.toLowerCase();
    /* Held down it acts once: the next alarm comes under the key before anybody has seen it. Moving goes on. */
    if (event.repeat && ["enter", "a", "s", "f"].includes(key)) { event.preventDefault(); return; }
    if (key === "arrowdown" || key === "j") move(1);
    else if (key === "arrowup" || key === "k") move(-1);
    else if (key === "enter" && !on_control) chosen()?.querySelector("a[href]")?.click();
    else if (key === "a") { const form = chosen()?.querySelector("form[data-ack]"); if (form) acknowledge(form); }
    else if (key === "s") switchSound();
    else if (key === "f") full();
    else return;
    event.preventDefault();
  });
  board.addEventListener("submit", (event) => {
    if (!event.target.matches("form[data-ack]")) return;
    event.preventDefault();
    acknowledge(event.target);
  });
  soundButton.addEventListener("click", switchSound);
  document.getElementById("full").addEventListener("click", full);
  setInterval(() => {
    show();
    const waiting = alarms();
    if (waiting.length && Date.now() - last > AGAIN_MS) sound(waiting[0].dataset.alarm);
  }, 1000);

  board.focus({ preventScroll: true });
  tell();
  listen();
})();
