"use strict";
// Clips load when they come near the window and play while they are in it. Everything is in this file.
const still = matchMedia("(prefers-reduced-motion: reduce)");
const clips = [...document.querySelectorAll(".clip")].map(card => new class {
  card = card;
  video = card.querySelector("video");
  slider = card.querySelector("input");
  now = card.querySelector("output");
  frames = Number(card.dataset.frames);
  fps = Number(card.dataset.fps);
  keys = JSON.parse(card.dataset.keys);
  weights = card.dataset.weights.split(" ").map(Number);
  mixed = this.weights.some(weight => weight < 1);
  wanted = !still.matches;
  visible = false;

  load() {
    if (!this.video || this.video.src) return;
    const bytes = Uint8Array.from(atob(card.dataset.video), letter => letter.charCodeAt(0));
    this.video.preload = "auto";  // so that one that does not play shows its first frame
    this.video.src = URL.createObjectURL(new Blob([bytes], {type: "video/mp4"}));
    card.removeAttribute("data-video");
  }
  update() {
    if (!this.video) return;
    const play = this.wanted && this.visible && !card.hidden;
    card.classList.toggle("playing", this.wanted);
    card.querySelector(".play").setAttribute("aria-label", `${this.wanted ? "Pause" : "Play"} clip ${this.number}`);
    if (play) this.load();
    if (play && this.video.paused) this.video.play().catch(() => {});
    if (!play && !this.video.paused) this.video.pause();
  }
  get number() { return this.slider.getAttribute("aria-label").replace(/\D/g, ""); }
  show(frame) {
    this.slider.value = frame;
    const share = this.mixed ? `, own ${Math.round(100 * this.weights[frame])} %` : "";
    this.now.textContent = `frame ${frame + 1} of ${this.frames}${share}`;
    this.slider.setAttribute("aria-valuetext", this.now.textContent);
  }
  seek() {
    this.wanted = false;
    this.load();
    this.update();
    this.video.currentTime = (Number(this.slider.value) + 0.5) / this.fps;
    this.show(Number(this.slider.value));
  }
}());

const byCard = new Map(clips.map(clip => [clip.card, clip]));
const near = new IntersectionObserver(entries => entries.forEach(entry => {
  if (entry.isIntersecting) byCard.get(entry.target).load();
}), {rootMargin: "300px"});
const inside = new IntersectionObserver(entries => entries.forEach(entry => {
  const clip = byCard.get(entry.target);
  clip.visible = entry.isIntersecting;
  clip.update();
}), {threshold: 0.2});
for (const clip of clips) {
  clip.show(0);
  if (!clip.video) continue;
  near.observe(clip.card);
  inside.observe(clip.card);
  clip.slider.addEventListener("input", () => clip.seek());
  clip.card.querySelector(".play").addEventListener("click", () => { clip.wanted = !clip.wanted; clip.update(); });
  clip.update();
}
(function follow() {
  for (const clip of clips) {
    if (clip.video && !clip.video.paused) clip.show(Math.min(clip.frames - 1, Math.floor(clip.video.currentTime * clip.fps + 0.01)));
  }
  requestAnimationFrame(follow);
})();

for (const gallery of document.querySelectorAll(".gallery")) {
  const own = clips.filter(clip => gallery.contains(clip.card));
  const selects = [...gallery.querySelectorAll("select")];
  const [found, more, all, reset] = [".found", ".more", ".all", ".reset"].map(name => gallery.querySelector(name));
  const step = matchMedia("(max-width: 40rem)").matches ? 6 : 12;  // clips at a time
  const source = gallery.querySelector(".numbers");
  const rows = source ? JSON.parse(source.textContent) : [];
  const body = gallery.querySelector("tbody");
  const details = gallery.querySelector("details");
  let shown = step;

  const fits = keys => selects.every(select => !select.value || keys[select.dataset.kind].includes(select.value));
  function fill() {
    if (!details || !details.open) return;
    body.replaceChildren(...rows.filter(fits).map(row => {
      const line = document.createElement("tr");
      for (const value of [row.clip, row.label, row.own.toFixed(2), row.ops, row.videos, row.copy]) {
        const cell = document.createElement("td");
        cell.textContent = value;
        line.append(cell);
      }
      line.cells[0].className = line.cells[2].className = "number";
      return line;
    }));
  }
  function filter() {
    const good = own.filter(clip => fits(clip.keys));
    const open = new Set(good.slice(0, shown));
    for (const clip of own) { clip.card.hidden = !open.has(clip); clip.update(); }
    const chosen = selects.some(select => select.value);
    const several = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
    if (found) found.textContent = chosen
      ? `${several(good.length, "moving clip")}, ${several(rows.filter(fits).length, "row")} in the table`
      : `${several(own.length, "moving clip")} of ${rows.length.toLocaleString("en")}`;
    if (more) { more.hidden = good.length <= shown; more.textContent = `Show ${Math.min(step, good.length - shown)} more`; }
    if (reset) reset.hidden = !chosen;
    fill();
  }
  selects.forEach(select => select.addEventListener("change", () => { shown = step; filter(); }));
  if (details) details.addEventListener("toggle", fill);
  if (reset) reset.addEventListener("click", () => { selects.forEach(select => { select.value = ""; }); filter(); selects[0].focus(); });
  if (more) more.addEventListener("click", () => {
    const first = own.filter(clip => fits(clip.keys))[shown];
    shown += step;
    filter();
    if (first) (first.card.querySelector(".play") || first.card).focus();
  });
  const lamp = gallery.querySelector(".lamp input");  // for clips in the dark; the page alone, not the clips, gets brighter
  lamp.addEventListener("change", () => gallery.classList.toggle("bright", lamp.checked));
  if (all) {
    const say = () => {
      all.textContent = own.every(clip => !clip.wanted) ? "Play all" : "Pause all";
    };
    all.addEventListener("click", () => {
      const wanted = own.every(clip => !clip.wanted);
      own.forEach(clip => { clip.wanted = wanted; clip.update(); });
      say();
    });
    say();
  }
  filter();
}

for (const button of document.querySelectorAll(".copy")) {
  button.addEventListener("click", async () => {
    const code = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {  // a browser that gives files no clipboard
      getSelection().selectAllChildren(code);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
}
