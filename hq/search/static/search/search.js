// The map without tiles, the words that the log will have, the way back, printing. Every page works without this file.
"use strict";

(function () {
  const form = document.getElementById("ask");
  const field = (name) => form && form.elements[name];
  const value = (name) => (field(name) && field(name).value.trim()) || "";

  function say() {
    const says = (name, text) => {
      const place = document.querySelector(`[data-says="${name}"]`);
      if (place) place.textContent = text;
    };
    const purpose = field("purpose");
    const chosen = purpose && purpose.selectedOptions && purpose.selectedOptions[0];
    says("purpose", (chosen && chosen.textContent) || "none stated");
    says("case", value("case") || "none stated");
    says("behalf", [value("behalf_person"), value("behalf_agency")].filter(Boolean).join(", ") || "yourself");
    const asked = ["plate", "since", "until", "unit", "deployment", "south", "west", "north", "east", "lat", "lon", "metres"]
      .filter(value).map((name) => `${name} ${value(name)}`);
    if (field("lookalikes") && field("lookalikes").checked) asked.push("look-alikes too");
    says("asked", asked.join("; ") || "nothing yet");
    const scan = document.getElementById("scan");
    if (scan) {
      const known = value("plate").toUpperCase().replace(/[^0-9A-Z?*]/g, "").split(/[?*]+/);
      const partial = /[?*]/.test(value("plate"));
      const needs = value("plate") && partial && !value("deployment") && !known.some((run) => run.length >= 3);
      scan.textContent = needs ? "This pattern needs a full scan." : "";
    }
  }

  function outlined(map, box) {
    if (!box.dataset.outline) return;
    fetch(box.dataset.outline, { credentials: "same-origin" })
      .then((answer) => (answer.ok ? answer.json() : null))
      .then((shape) => shape && window.L.geoJSON(shape, { interactive: false, style: { weight: 1, color: "#7d8fa1", fillOpacity: 0.06 } }).addTo(map))
      .catch(() => {});
  }

  function graticule(map) {
    const layer = window.L.layerGroup().addTo(map);
    const draw = () => {
      layer.clearLayers();
      const view = map.getBounds();
      const span = Math.max(view.getNorth() - view.getSouth(), 1e-6);
      const step = Math.pow(10, Math.floor(Math.log10(span)));
      const line = (ends) => window.L.polyline(ends, { weight: 1, color: "#7d8fa1", opacity: 0.35, interactive: false }).addTo(layer);
      for (let lat = Math.ceil(view.getSouth() / step) * step; lat < view.getNorth(); lat += step) line([[lat, view.getWest()], [lat, view.getEast()]]);
      for (let lon = Math.ceil(view.getWest() / step) * step; lon < view.getEast(); lon += step) line([[view.getSouth(), lon], [view.getNorth(), lon]]);
    };
    map.on("moveend", draw);
    draw();
  }

  function mapped(box) {
    const places = JSON.parse(box.dataset.places || "[]");
    const points = JSON.parse(box.dataset.points || "[]");
    box.hidden = false;
    const map = window.L.map(box, { attributionControl: false, minZoom: 3, maxZoom: 19 });
    const known = places.map((place) => [place[1], place[2]]).concat(points);
    if (known.length) map.fitBounds(window.L.latLngBounds(known).pad(0.3), { maxZoom: 16 });
    else map.setView([37, -119], 5);
    window.L.control.scale().addTo(map);
    graticule(map);
    outlined(map, box);
    places.forEach((place) => {
      const name = document.createElement("span");
      name.textContent = place[0];
      window.L.circleMarker([place[1], place[2]], { radius: 6, color: "#f0b33f" }).bindTooltip(name).addTo(map);
    });
    points.forEach((point) => window.L.circleMarker(point, { radius: 5, color: "#8cc4ff" }).addTo(map));
    if (points.length > 1) window.L.polyline(points, { weight: 2, color: "#8cc4ff", opacity: 0.6 }).addTo(map);
    return map;
  }

  function drawn(map) {
    const tools = document.getElementById("map-tools");
    const help = document.getElementById("map-help");
    const parts = { box: ["south", "west", "north", "east"], circle: ["lat", "lon", "metres"] };
    let mode = "none", first = null, shape = null;
    const put = (name, number, digits) => { field(name).value = Number(number).toFixed(digits); };
    const show = () => {
      if (shape) shape.remove();
      shape = null;
      const given = (names) => names.every((name) => value(name) !== "" && isFinite(Number(value(name))));
      const [s, w, n, e] = parts.box.map((name) => Number(value(name)));
      const style = { weight: 2, color: "#f0b33f" };
      if (given(parts.box)) shape = window.L.rectangle([[s, w], [n, e]], style).addTo(map);
      else if (given(parts.circle)) shape = window.L.circle([Number(value("lat")), Number(value("lon"))], { radius: Number(value("metres")), ...style }).addTo(map);
    };
    const clear = () => { [...parts.box, ...parts.circle].forEach((name) => { field(name).value = ""; }); show(); say(); };
    tools.hidden = false;
    tools.addEventListener("click", (event) => {
      const wanted = event.target.dataset && event.target.dataset.draw;
      if (!wanted) return;
      mode = wanted; first = null; clear();
      help.textContent = { box: "Click one corner, then the opposite one.", circle: "Click the centre, then the edge.", none: "" }[mode];
    });
    map.on("click", (event) => {
      if (mode === "none") return;
      if (!first) { first = event.latlng; return; }
      if (mode === "box") {
        put("south", Math.min(first.lat, event.latlng.lat), 6); put("north", Math.max(first.lat, event.latlng.lat), 6);
        put("west", Math.min(first.lng, event.latlng.lng), 6); put("east", Math.max(first.lng, event.latlng.lng), 6);
      } else {
        put("lat", first.lat, 6); put("lon", first.lng, 6); put("metres", Math.max(1, map.distance(first, event.latlng)), 0);
      }
      mode = "none"; first = null; help.textContent = ""; show(); say();
    });
    form.addEventListener("change", show);
    show();
  }

  // No browser goes back to the answer to a sent form without sending it anew; to this address it does.
  const lasting = document.querySelector("[data-address]");
  if (lasting) history.replaceState(null, "", lasting.dataset.address);
  document.querySelectorAll("[data-print]").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", () => window.print());
  });
  if (form) { form.addEventListener("input", say); form.addEventListener("change", say); say(); }
  const box = document.getElementById("map");
  if (box && window.L) { const map = mapped(box); if (form) drawn(map); }
})();
