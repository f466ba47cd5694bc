"use strict";
// Sends clips, waits for the answer, and shows it. Nothing comes from elsewhere.

const facts = JSON.parse(document.getElementById("facts").textContent);
const byId = name => document.getElementById(name);
const form = byId("ask"), input = byId("clips"), chosen = byId("chosen"), send = byId("send");
let files = [];

// Elements

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  fill(element, attributes, children);
  return element;
}

function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  fill(element, attributes, children);
  return element;
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter(child => child !== null && child !== undefined));
}

// Numbers

function count(value) {
  const number = Math.max(value, 0);
  for (const [unit, suffix] of [[1e9, "B"], [1e6, "M"], [1e3, "K"]]) {
    if (number >= 0.9995 * unit) {
      const share = number / unit;
      return share.toFixed(share < 9.995 ? 2 : share < 99.95 ? 1 : 0) + suffix;
    }
  }
  return number.toFixed(0);
}

const percent = share => `${Math.round(100 * share)}%`;
const times = part => part.times === null
  ? (part.effect > 0 ? "+" : "−") + Math.abs(part.effect).toFixed(2)
  : `× ${part.times.toFixed(2)}`;
const direction = effect => effect >= 0 ? "up" : "down";

// Choosing clips

function choose(list) {
  files = [...list];
  chosen.replaceChildren(...files.map(file => make("li", {}, `${file.name} · ${(file.size / 2 ** 20).toFixed(1)} MB`)));
  send.disabled = files.length === 0;
  complain("");
}

input.addEventListener("change", () => choose(input.files));
const drop = byId("drop");
for (const name of ["dragenter", "dragover"]) drop.addEventListener(name, event => {
  event.preventDefault();
  drop.classList.add("over");
});
for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => drop.classList.remove("over"));
drop.addEventListener("drop", event => {
  event.preventDefault();
  choose(event.dataTransfer.files);
});

const record = byId("record");
record.hidden = !(navigator.mediaDevices && window.MediaRecorder);
let recorder = null;
record.addEventListener("click", async () => {
  if (recorder) return recorder.stop();
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ video: true, audio: true });
    const parts = [];
    recorder = new MediaRecorder(stream);
    recorder.addEventListener("dataavailable", event => parts.push(event.data));
    recorder.addEventListener("stop", () => {
      stream.getTracks().forEach(track => track.stop());
      recorder = null;
      record.textContent = "Record one";
      choose([new File(parts, "recorded.webm", { type: "video/webm" })]);
    });
    recorder.start();
    record.textContent = "Stop";
  } catch (error) {
    complain(`This browser does not record: ${error.message}`);
  }
});

// Asking

const say = text => { byId("status").textContent = text; };
const complain = text => { byId("trouble").textContent = text; };
const pause = milliseconds => new Promise(done => setTimeout(done, milliseconds));

async function ask(path, options) {
  const response = await fetch(path, options);
  if (response.ok) return response.status === 204 || response.status === 202 ? null : response.json();
  const told = await response.json().catch(() => null);
  throw new Error(told?.message ?? `The page answered ${response.status}.`);
}

form.addEventListener("submit", async event => {
  event.preventDefault();
  if (!files.length) return;
  const asked = [...files];
  send.disabled = true;
  complain("");
  byId("answer").hidden = true;
  try {
    const tooLarge = asked.find(file => file.size > facts.limits.clip_bytes);
    if (tooLarge) throw new Error(`${tooLarge.name} is larger than ${facts.limits.clip_bytes / 2 ** 20} MB.`);
    if (asked.length > facts.limits.clips) throw new Error(`At most ${facts.limits.clips} clips at a time.`);
    const { job } = await ask("/jobs", { method: "POST" });
    for (const [place, file] of asked.entries()) {
      say(`Sending ${file.name} (${place + 1} of ${asked.length}) …`);
      await ask(`/jobs/${job}/clips?name=${encodeURIComponent(file.name)}`, { method: "PUT", body: file });
    }
    await ask(`/jobs/${job}/start`, { method: "POST", body: byId("caption").value });
    await answered(job, asked);
    say("");
  } catch (error) {
    say("");
    byId("answer").setAttribute("aria-busy", "false");
    complain(error.message);
  } finally {
    send.disabled = false;
  }
});

async function answered(job, asked) {
  let shown = null;
  for (;;) {
    const told = await ask(`/jobs/${job}`);
    if (told.state === "failed") throw new Error(told.message);
    if (told.clips && !shown) shown = show(told, asked);
    if (told.state === "done") {
      shown.forEach((explain, place) => explain(told.clips[place]));
      byId("answer").setAttribute("aria-busy", "false");
      return;
    }
    say(told.ahead && told.state === "waiting" ? `Waiting: ${told.ahead} before you …`
      : shown ? "Finding out what moves the answer …" : "Watching and listening …");
    await pause(300);
  }
}

// Showing

function show(told, asked) {
  const answer = byId("answer");
  const narrow = told.clips.length === 2 || matchMedia("(max-width: 34rem)").matches;
  const made = told.clips.map((clip, place) => card(clip, fileOf(clip, place, told, asked), narrow));
  const cards = made.map(each => each.card);
  answer.replaceChildren(
    ...told.unscored.map(line => make("p", { class: "unlike", role: "alert" }, line)),
    ...(told.compared ? [comparison(told.compared)] : []),
    ...(told.clips.length > 2 ? [table(told.clips)] : []),
    make("div", { class: told.clips.length === 2 ? "cards two" : "cards" },
      ...(told.clips.length > 2 ? cards.map((each, place) => make("details", {},
        make("summary", {}, `${told.clips[place].video_id}: ${count(told.clips[place].expected)}`), each)) : cards)),
  );
  answer.setAttribute("aria-busy", "true");
  answer.hidden = false;
  answer.focus({ preventScroll: true });
  answer.scrollIntoView({ block: "start" });
  return made.map(each => each.explain);
}

function fileOf(clip, place, told, asked) {
  if (told.clips.length === asked.length) return asked.find(file => stem(file.name) === clip.video_id) ?? asked[place];
  return asked.find(file => stem(file.name) === clip.video_id);
}

const stem = name => name.replace(/\.[^.]*$/, "");

function comparison(compared) {
  const sure = compared.probability === null
    ? "How sure that is, nobody can say: too few clips calibrated it."
    : `Of such pairs, it comes out on top in ${percent(compared.probability)}.`;
  return make("p", { class: "compared" },
    `${compared.better} is likelier to be watched more than ${compared.other}: ` +
    `expected, ${compared.factor.toFixed(1)} times as many. ${sure}`);
}

function table(clips) {
  const rows = [...clips].sort((one, other) => other.prediction - one.prediction);
  const columns = ["video_id", "expected", "low", "high", "percentile", "unlike", "prediction"];
  const save = make("button", { type: "button", class: "quiet", onclick: () => download(rows, columns) },
    "Download as a table");
  return make("div", {}, make("div", { class: "scroll" }, make("table", {},
    make("thead", {}, make("tr", {}, make("th", {}, "Clip"), make("th", { class: "n" }, "Expected"),
      make("th", { class: "n" }, "Four in five"), make("th", { class: "n" }, "Percentile"))),
    make("tbody", {}, ...rows.map(row => make("tr", {},
      make("td", {}, row.video_id), make("td", { class: "n" }, count(row.expected)),
      make("td", { class: "n" }, row.low === null ? "–" : `${count(row.low)} to ${count(row.high)}`),
      make("td", { class: "n" }, row.percentile.toFixed(0))))))), save);
}

function download(rows, columns) {
  // A cell that begins like a formula would be run by a spreadsheet.
  const cell = value => {
    const text = value === null || value === undefined ? "" : String(value);
    const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return `"${safe.replaceAll('"', '""')}"`;
  };
  const lines = [columns, ...rows.map(row => columns.map(name => row[name]))].map(row => row.map(cell).join(","));
  const link = make("a", { href: URL.createObjectURL(new Blob([lines.join("\r\n")], { type: "text/csv" })),
                           download: "scores.csv" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function card(clip, file, narrow) {
  const video = file ? make("video", { controls: "", playsinline: "", muted: "", preload: "metadata",
    "aria-label": clip.video_id }) : null;
  const seen = make("div", {}, video);
  if (video) {
    video.src = URL.createObjectURL(file);
    const unseen = () => seen.replaceChildren(
      make("p", { class: "unseen" }, "This browser cannot show the clip. It was scored all the same."));
    video.addEventListener("error", unseen);
    video.addEventListener("loadedmetadata", () => { if (!video.videoWidth) unseen(); });
  }
  const ends = clip.low === null
    ? "No interval: too few clips calibrated it."
    : `Four in five such clips: ${count(clip.low)} to ${count(clip.high)}.`;
  const parts = [
    make("div", { class: "head" },
      make("div", {},
        make("h2", {}, clip.video_id),
        make("p", { class: "figure" }, make("b", {}, count(clip.expected)),
          make("span", {}, ` ${facts.landscape.name} expected`)),
        make("p", {}, `${ends} ${clip.percentile.toFixed(0)} of 100 clips of the corpus have fewer.`),
        clip.unlike ? make("p", { class: "unlike" },
          "It is unlike the clips that the models know: believe this less.") : null),
      seen),
    landscape(clip, narrow),
  ];
  const shown = make("article", { class: "card" }, ...parts);
  return { card: shown, explain: known => { if (known.why) shown.append(...reasons(known, video)); } };
}

function landscape(clip, narrow) {
  const { low, high, counts, ticks, name } = facts.landscape;
  const width = narrow ? 320 : 600, height = 90, most = Math.max(...counts, 1);
  const first = Math.min(low, clip.lower ?? clip.prediction, clip.prediction);
  const last = Math.max(high, clip.upper ?? clip.prediction, clip.prediction);
  const x = value => width * (value - first) / (last - first || 1);
  const step = (high - low) / counts.length;
  const bars = counts.map((number, place) => draw("rect", {
    x: x(low + place * step), width: Math.max(x(low + step) - x(low) - 1, 1),
    y: height - height * number / most, height: height * number / most,
  }));
  const label = `${count(clip.expected)} ${name} among the clips of the corpus`;
  return make("figure", {}, draw("svg", { viewBox: `-12 -12 ${width + 24} ${height + 34}`, role: "img", "aria-label": label },
    draw("g", { class: "bars" }, ...bars),
    clip.lower === null ? null : draw("rect", { class: "range", x: x(clip.lower), y: -8,
      width: x(clip.upper) - x(clip.lower), height: height + 8, rx: 3 }),
    draw("rect", { class: "mark", x: x(clip.prediction) - 1.5, y: -8, width: 3, height: height + 8, rx: 1.5 }),
    ...ticks.map(tick => draw("text", { x: x(tick.at), y: height + 16, "text-anchor": "middle" }, tick.label)),
  ), make("figcaption", {}, `Clips of the corpus by ${name}; the line is what is expected of yours, the band the interval.`));
}

function reasons(clip, video) {
  const why = clip.why;
  const words = name => facts.modalities[name]?.words ?? name;
  const moved = Math.max(...why.modalities.map(part => Math.abs(part.effect)), 1e-9);
  const sorted = [...why.modalities].sort((one, other) => other.effect - one.effect);
  const bars = sorted.flatMap(part => {
    const bar = make("i", { class: direction(part.effect) });
    const size = 50 * Math.abs(part.effect) / moved;
    bar.style.left = part.effect >= 0 ? "50%" : `${50 - size}%`;
    bar.style.width = `${size}%`;
    return [make("dt", {}, words(part.modality)), make("dd", { class: "track" }, bar),
      make("dd", { class: `says-${direction(part.effect)}` }, times(part))];
  });
  return [
    make("h3", {}, "What it is made of: how many times as many as without"),
    make("dl", { class: "parts" }, ...bars),
    make("h3", {}, "Second by second"),
    ...timeline(why, video, words),
    ...written(clip, why),
    ...(why.alike.length ? [
      make("h3", {}, "Clips of the corpus that are most alike"),
      make("ul", { class: "alike" }, ...why.alike.map(other => make("li", {},
        other.truth === null ? other.video_id : `${other.video_id}: ${count(other.truth)} ${facts.landscape.name}`))),
    ] : []),
  ];
}

function timeline(why, video, words) {
  const most = Math.max(...why.moments.map(moment => Math.abs(moment.effect)), 1e-9);
  const told = make("p", { class: "moment", role: "status" });
  const cells = why.moments.map(moment => {
    const middle = (moment.start_seconds + moment.end_seconds) / 2;
    const picture = [...why.pictures].sort((one, other) =>
      Math.abs(one.seconds - middle) - Math.abs(other.seconds - middle))[0];
    const bar = make("i", { class: direction(moment.effect) });
    const size = 50 * Math.abs(moment.effect) / most;
    bar.style.top = moment.effect >= 0 ? `${50 - size}%` : "50%";
    bar.style.height = `${size}%`;
    const when = `${clock(moment.start_seconds)}`;
    const button = make("button", { type: "button", "aria-pressed": "false",
      "aria-label": `Second ${when}: ${times(moment)}`,
      onclick: () => {
        cells.forEach(cell => cell.firstChild.setAttribute("aria-pressed", cell.firstChild === button));
        told.textContent = describe(moment, words);
        if (video) video.currentTime = moment.start_seconds;
      } },
      picture ? make("img", { src: `data:image/jpeg;base64,${picture.jpeg}`, alt: "" }) : null,
      make("span", { class: "level" }, bar), when);
    return make("li", {}, button);
  });
  return [make("p", { class: "muted" }, "Up: the second lifts the answer. Choose one to see why, and the clip there."),
    make("ol", { class: "timeline" }, ...cells), told];
}

const clock = seconds => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

function describe(moment, words) {
  const senses = Object.entries(moment.by_modality).sort((one, other) => Math.abs(other[1]) - Math.abs(one[1])).slice(0, 2)
    .filter(([, effect]) => Math.abs(effect) > 0.005)
    .map(([name, effect]) => `${words(name)} ${effect > 0 ? "lifts" : "lowers"} it`);
  const said = [
    ...(moment.words.transcript ?? []).map(text => `said: “${text}”`),
    ...(moment.words.screen ?? []).map(text => `on screen: “${text}”`),
  ];
  return [`${clock(moment.start_seconds)} to ${clock(moment.end_seconds)}: ${times(moment)}`, ...senses, ...said].join("; ") + ".";
}

function written(clip, why) {
  const shown = [];
  for (const [field, title] of [["caption", "Caption"], ["transcript", "What is said"]]) {
    const words = why.words.filter(word => word.field === field);
    if (!words.length) continue;
    const most = Math.max(...why.words.map(word => Math.abs(word.effect)), 1e-9);
    shown.push(make("h3", {}, title), make("p", { class: "words" }, ...words.flatMap(word => {
      const mark = make("mark", { title: times(word) }, word.word);
      const share = Math.round(45 * Math.abs(word.effect) / most);
      mark.style.backgroundColor = `color-mix(in srgb, var(--${direction(word.effect)}) ${share}%, transparent)`;
      return [mark, " "];
    })));
  }
  if (clip.screen) shown.push(make("h3", {}, "On screen"), make("p", {}, clip.screen.split("\n").join(" · ")));
  return shown;
}
