// The script of the page: calls the routes of the server and shows their answers.

import { Pad, make } from "./pad.js";
import { drawHeat, gradient } from "./heat.js";

const find = (selector, within = document) => within.querySelector(selector);
const tokenKey = "likeness-token";

// ask returns the answer of a route, or throws the server's error.
async function ask(method, path, fields) {
  const options = { method, headers: {} };
  const token = sessionStorage.getItem(tokenKey);
  if (token) options.headers.Authorization = "Bearer " + token;
  if (fields) {
    options.body = new FormData();
    for (const [name, value] of Object.entries(fields)) options.body.append(name, value);
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer. Is it running?");
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  if (response.status === 401) {
    find("#token").hidden = false;
    find("#token-text").focus();
  }
  const missing = response.status === 401 && !token;
  const error = new Error(missing ? "Enter the server's token at the top of the page first." : answer.error || "The server answered with status " + response.status + ".");
  error.status = response.status;
  throw error;
}

// trying runs an action and shows its error in the element's message.
async function trying(element, button, act) {
  const message = find(".message", element);
  message.hidden = true;
  if (button) button.disabled = true;
  try {
    await act();
  } catch (error) {
    message.textContent = error.message;
    message.hidden = false;
  } finally {
    if (button) button.disabled = false;
  }
}

// shown escapes control characters and direction marks in the name of a class, which an old
// gallery may contain.
const shown = (name) => name.replace(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu, (c) => "\\u" + c.codePointAt(0).toString(16).padStart(4, "0"));

const digits = (value) => (Math.abs(value) < 1000 ? value.toFixed(4) : value.toPrecision(6));
const count = (n, one, many) => n.toLocaleString("en") + " " + (n === 1 ? one : many);

// lay shows a distance and a threshold on a scale that begins at 0 or at a negative distance.
function lay(track, distance, threshold, end) {
  const begin = Math.min(0, distance, threshold ?? 0);
  const at = (value) => ((value - begin) / (end - begin || 1)) * 100;
  track.classList.toggle("undecided", threshold === null);
  find(".near", track).style.width = threshold === null ? "0" : at(threshold) + "%";
  find(".tick", track).hidden = threshold === null;
  if (threshold !== null) find(".tick", track).style.left = at(threshold) + "%";
  find(".marker", track).style.left = Math.min(99, Math.max(1, at(distance))) + "%";
  return at;
}

// warn shows the warnings of an answer.
function warn(section, warnings) {
  const line = find(section + " .warning");
  line.textContent = warnings.length === 0 ? "" : "Warning: " + warnings.join(". ") + ".";
  line.hidden = warnings.length === 0;
}

function showComparison(found) {
  const verdict = find("#compared .verdict");
  verdict.className = "verdict " + (found.same === null ? "" : found.same ? "same" : "different");
  verdict.textContent =
    found.same === null ? "No decision: the model has no threshold" : found.same ? "The same: the distance is within the threshold" : "Different: the distance exceeds the threshold";
  const end = Math.max(found.distance * 1.08, (found.threshold ?? 0) * 2, 1e-9);
  const at = lay(find("#compared .track"), found.distance, found.threshold, end);
  const inside = (value) => Math.min(80, Math.max(20, at(value))) + "%";
  const labels = [find(".at-distance"), find(".at-threshold")];
  labels[0].textContent = "distance " + digits(found.distance);
  labels[0].style.left = inside(found.distance);
  labels[1].hidden = found.threshold === null;
  if (found.threshold !== null) {
    labels[1].textContent = "threshold " + digits(found.threshold);
    labels[1].style.left = inside(found.threshold);
  }
  warn("#compared", found.warnings);
  showWhy(found.head, found.explanation);
  find("#compare-hint").hidden = true;
  find("#compared").hidden = false;
}

function showWhy(head, why) {
  find("#bars").replaceChildren();
  find("#rest").textContent = "";
  if (!why) {
    find("#why").textContent = "The distance " + head + " is not a sum over dimensions.";
    return;
  }
  const listed = why.deciding.length;
  find("#why").replaceChildren(
    `The embedding of an image has ${count(why.dimensions, "dimension", "dimensions")}. For the ${head} distance, dimension j contributes ${why.formula}; the sum is the ${why.adds_up_to}, ${digits(why.total)}. The ${listed} largest contributions: `,
    make("span", "key", "increases the distance"), "  ", make("span", "key closer", "reduces the distance"));
  const largest = Math.max(...why.deciding.map((share) => Math.abs(share.contribution)), 1e-12);
  const both = why.deciding.some((share) => share.contribution < 0);
  for (const share of why.deciding) {
    const row = make("li");
    const name = make("span");
    name.append(make("span", "word", "dimension "), String(share.dimension));
    const bar = make("div", "bar");
    const width = (Math.abs(share.contribution) / largest) * (both ? 50 : 100);
    const fill = make("div", share.contribution < 0 ? "closer" : "");
    fill.style.width = width + "%";
    fill.style.left = (both ? 50 : 0) - (share.contribution < 0 ? width : 0) + "%";
    bar.append(fill);
    if (both) {
      const zero = make("div", "zero");
      zero.style.left = "50%";
      bar.append(zero);
    }
    row.append(name, bar, make("span", "value", `${digits(share.contribution).replace("-", "−")}  (${(share.share * 100).toFixed(1).replace("-", "−")} %)`));
    find("#bars").append(row);
  }
  if (why.dimensions > listed) {
    find("#rest").textContent = `The other ${count(why.dimensions - listed, "dimension contributes", "dimensions contribute")} ${digits(why.rest).replace("-", "−")}.`;
  }
}

// showMatch draws the maps of an explanation over the two files.
async function showMatch(found, files) {
  const limit = Math.max(...found.a.values, ...found.b.values, 0) || 1;
  try {
    await Promise.all([found.a, found.b].map((map, i) => drawHeat(document.querySelectorAll(".heats canvas")[i], files[i], map, limit)));
  } catch {
    throw new Error("This browser cannot show the format of the images.");
  }
  const minus = (value) => digits(value).replace("-", "−");
  find(".colors").style.background = gradient;
  find(".largest").textContent = minus(limit);
  find(".parts").textContent = `Each of the ${found.a.height} × ${found.a.width} places of an image has the color of its contribution to the cosine similarity, ${minus(found.similarity)}. The places add up to ${minus(found.similarity - found.bias)}` +
    (found.bias === 0 ? "." : `, and the biases of the last layers contribute ${minus(found.bias)}.`) + " The white line is at half of the largest value.";
  find("#explain-now").hidden = true;
  find("#explained").hidden = false;
}

function showIdentification(found, warnings) {
  warn("#identified", warnings);
  const first = found.candidates[0];
  const verdict = find("#identified .verdict");
  verdict.className = "verdict " + (found.known === null ? "" : found.known ? "same" : "different");
  verdict.textContent = found.known === null ? "No decision; the nearest class is " + shown(first.class) : found.known ? "It is " + shown(found.class) : "Unknown: none of the enrolled classes";
  const end = Math.max(...found.candidates.map((c) => c.distance * 1.05), (found.threshold ?? 0) * 1.5, 1e-9);
  find("#candidates").replaceChildren(...found.candidates.map((candidate) => {
    const row = make("li"), names = make("div", "names"), track = make("div", "track");
    names.append(make("b", "", shown(candidate.class)), make("span", "", "distance " + digits(candidate.distance)));
    track.append(make("div", "near"), make("div", "tick"), make("div", "marker"));
    lay(track, candidate.distance, found.threshold, end);
    row.append(names, track);
    return row;
  }));
  find("#identified .note").textContent =
    found.threshold === null ? "There is no threshold. Run likeness calibrate to choose one." : "Images up to the threshold, " + digits(found.threshold) + ", are identified.";
  find("#identified").hidden = false;
}

const maxListed = 200; // maximum number of classes in the list

function showClasses(answer) {
  const known = answer.classes.length;
  find("#classes .note").textContent = known === 0 ? "No classes yet." : `${count(known, "class", "classes")}, ${count(answer.examples, "example", "examples")}` + (known > maxListed ? `; the first ${maxListed} are listed.` : ".");
  find("#classes ul").replaceChildren(...answer.classes.slice(0, maxListed).map((known) => {
    const row = make("li"), name = make("span", "", shown(known.name)), forget = make("button", "", "Delete");
    name.append(make("small", "", count(known.examples, "example", "examples")));
    forget.type = "button";
    forget.setAttribute("aria-label", "Delete " + shown(known.name));
    forget.addEventListener("click", () => {
      if (!forget.classList.contains("sure")) {
        forget.classList.add("sure");
        forget.textContent = "Confirm";
        return;
      }
      trying(find("#classes"), forget, async () => {
        await ask("DELETE", "v1/classes/" + encodeURIComponent(known.name));
        await loadClasses();
      });
    });
    forget.addEventListener("blur", () => {
      forget.classList.remove("sure");
      forget.textContent = "Delete";
    });
    row.append(name, forget);
    return row;
  }));
}

async function loadClasses() {
  try {
    showClasses(await ask("GET", "v1/classes"));
    find("#with-gallery").hidden = false;
    find("#no-gallery").hidden = true;
  } catch (error) {
    if (error.status !== 409) throw error;
    find("#no-gallery").hidden = false;
  }
}

const begin = () => trying({ querySelector: () => find("#known > .message") }, null, loadClasses);

function wireCompare() {
  const button = find("#compare-now");
  let files = []; // that were compared
  const compare = () => trying(find("#compare"), button, async () => {
    find("#compared").hidden = true;
    find("#explained").hidden = true;
    find("#explain .message").hidden = true;
    find("#explain-now").hidden = false;
    files = [await pads[0].blob(), await pads[1].blob()];
    showComparison(await ask("POST", "v1/compare", { a: files[0], b: files[1] }));
  });
  find("#explain-now").addEventListener("click", () => trying(find("#explain"), find("#explain-now"), async () => {
    const compared = files;
    const found = await ask("POST", "v1/explain", { a: compared[0], b: compared[1] });
    if (compared === files) await showMatch(found, compared);
  }));
  const pads = ["#a", "#b"].map((id) => new Pad(find(id), (file) => {
    button.disabled = !pads.every((pad) => pad.full);
    if (file && !button.disabled) compare();
  }));
  button.addEventListener("click", compare);
}

function wireEnroll() {
  const button = find("#enroll button.main"), done = find("#enroll .done");
  const pad = new Pad(find("#example"), () => (button.disabled = !pad.full));
  find("#enroll").addEventListener("submit", (event) => {
    event.preventDefault();
    done.hidden = true;
    warn("#enroll", []);
    trying(find("#enroll"), button, async () => {
      const answer = await ask("POST", "v1/enroll", { class: find("#class").value.trim(), image: await pad.blob() });
      done.textContent = `${shown(answer.class)} now has ${count(answer.examples, "example", "examples")}.`;
      done.hidden = false;
      warn("#enroll", answer.warnings);
      pad.clear();
      await loadClasses();
    }).then(() => (button.disabled = !pad.full));
  });
}

function wireIdentify() {
  const button = find("#identify button.main");
  const pad = new Pad(find("#query"), () => (button.disabled = !pad.full));
  find("#identify").addEventListener("submit", (event) => {
    event.preventDefault();
    find("#identified").hidden = true;
    trying(find("#identify"), button, async () => {
      const answer = await ask("POST", "v1/identify", { image: await pad.blob(), candidates: 5 });
      showIdentification(answer.results[0], answer.warnings);
    });
  });
}

find("#token").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(tokenKey, find("#token-text").value.trim());
  find("#token").hidden = true;
  find("#token-text").value = "";
  begin();
});
wireCompare();
wireEnroll();
wireIdentify();
begin();
