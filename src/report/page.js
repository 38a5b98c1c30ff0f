"use strict";

// Every case is one player with several tracks: all share one position, and one of them is heard.

const cases = [...document.querySelectorAll(".case")].map(makePlayer);
document.querySelectorAll("table.sortable").forEach(makeSortable);

function makePlayer(card) {
  const seconds = Number(card.dataset.seconds);
  const lanes = [...card.querySelectorAll(".lane")].map((lane) => ({
    lane,
    audio: lane.querySelector("audio"),
    pick: lane.querySelector(".pick"),
    picture: lane.querySelector(".picture"),
    name: lane.querySelector(".pick").getAttribute("aria-label"),
  }));
  const play = card.querySelector(".play");
  const scrubber = card.querySelector(".scrubber");
  const now = card.querySelector(".now");
  const time = card.querySelector(".time");
  let heard = 0;
  let position = 0;
  let frame = 0;

  function show() {
    const playing = !lanes[heard].audio.paused;
    card.style.setProperty("--at", seconds ? position / seconds : 0);
    scrubber.value = position;
    scrubber.setAttribute("aria-valuetext", `${position.toFixed(1)} of ${seconds.toFixed(1)} seconds`);
    time.textContent = position.toFixed(1);
    now.textContent = lanes[heard].name;
    play.textContent = playing ? "Pause" : "Play";
    play.setAttribute("aria-label", `${play.textContent} ${lanes[heard].name}`);
    card.classList.toggle("playing", playing);
    lanes.forEach(({ lane, pick }, place) => {
      lane.classList.toggle("heard", place === heard);
      pick.setAttribute("aria-pressed", String(place === heard));
    });
  }

  function follow() {
    const { audio } = lanes[heard];
    position = Math.min(audio.currentTime, seconds);
    show();
    cancelAnimationFrame(frame); // several events may have called this
    if (!audio.paused) frame = requestAnimationFrame(follow);
  }

  function seek(to) {
    position = Math.min(Math.max(to, 0), seconds);
    lanes.forEach(({ audio }) => { audio.currentTime = position; });
    show();
  }

  function listen(place) {
    const before = lanes[heard].audio;
    const after = lanes[place].audio;
    if (before === after) return;
    const playing = !before.paused;
    position = before.currentTime;
    heard = place; // from here on the events of `before` concern nobody
    before.pause();
    after.currentTime = position;
    if (playing) after.play();
    show();
  }

  function toggle() {
    const { audio } = lanes[heard];
    if (audio.paused) audio.play(); else audio.pause(); // what has ended begins anew
  }

  function choose(place) {
    if (place === heard) return toggle();
    listen(place);
    lanes[heard].audio.play();
  }

  lanes.forEach(({ audio, pick, picture }, place) => {
    audio.addEventListener("play", () => { // by whatever button
      cases.forEach((other) => { if (other.card !== card) other.pause(); });
      listen(place);
      follow();
    });
    for (const event of ["pause", "ended", "seeked"]) {
      audio.addEventListener(event, () => { if (place === heard) follow(); });
    }
    pick.disabled = false;
    pick.addEventListener("click", () => choose(place));
    const seekTo = (event) => {
      const box = picture.getBoundingClientRect();
      listen(place);
      seek(seconds * (event.clientX - box.left) / box.width);
    };
    picture.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      seekTo(event);
      if (event.pointerType === "mouse") picture.setPointerCapture(event.pointerId); // a finger scrolls the page
    });
    picture.addEventListener("pointermove", (event) => { if (picture.hasPointerCapture(event.pointerId)) seekTo(event); });
  });

  const steps = { ArrowLeft: -0.1, ArrowDown: -0.1, ArrowRight: 0.1, ArrowUp: 0.1, PageDown: -1, PageUp: 1 };
  scrubber.addEventListener("input", () => seek(Number(scrubber.value)));
  scrubber.addEventListener("keydown", (event) => {
    if (event.key === " ") toggle();
    else if (event.key in steps) seek(position + steps[event.key]);
    else return;
    event.preventDefault();
  });
  card.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const place = "123456789".indexOf(event.key);
    if (place >= 0 && place < lanes.length) listen(place);
  });
  play.addEventListener("click", toggle);
  card.querySelector(".transport").hidden = false;
  show();
  return { card, pause: () => lanes[heard].audio.pause() };
}

// A click on a heading sorts upwards, the next one downwards; what has no value stays at the end.
function makeSortable(table) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const words = new Intl.Collator("en", { numeric: true });

  function compare(one, other) {
    return typeof one === "number" ? one - other : words.compare(one, other);
  }

  function value(row, column) {
    const cell = row.cells[column];
    if (!("value" in cell.dataset)) return cell.textContent;
    return cell.dataset.value === "" ? null : Number(cell.dataset.value);
  }

  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      const rows = [...body.rows].map((row) => ({ row, value: value(row, column) }));
      const known = rows.filter((row) => row.value !== null);
      const unknown = rows.filter((row) => row.value === null);
      known.sort((one, other) => compare(one.value, other.value) * (down ? -1 : 1));
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      body.append(...[...known, ...unknown].map(({ row }) => row));
    });
  });
}
