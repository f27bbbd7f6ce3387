// A pad is a square canvas for an image that is drawn, dropped or chosen as a file.

const side = 320; // width and height in pixels
const strokeWidth = 9; // in pixels
const draws = !document.body.classList.contains("photographs"); // whether the model is for drawings

export class Pad {
  // Fills the element with the pad. changed is called after a change, with true for a file.
  constructor(element, changed) {
    this.changed = changed;
    this.file = null;
    this.full = false;
    this.figure = make("figure", "pad");
    this.canvas = make("canvas");
    this.canvas.width = this.canvas.height = side;
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", element.dataset.name + (draws ? ": draw here, or choose a file below" : ": drop an image here, or choose a file below"));
    this.paper = this.canvas.getContext("2d");
    const choose = make("label", "button", "Choose a file");
    const input = make("input");
    input.type = "file";
    input.accept = "image/*,.pgm,.ppm";
    input.setAttribute("aria-label", element.dataset.name + ": choose a file");
    choose.append(input);
    const clear = make("button", "", "Clear");
    clear.type = "button";
    const tools = make("div", "tools");
    tools.append(choose, clear);
    this.figure.append(make("figcaption", "", element.dataset.name), this.canvas, tools);
    element.replaceChildren(this.figure);

    input.addEventListener("change", () => {
      if (input.files.length > 0) this.show(input.files[0]);
      input.value = ""; // so that the same file can be chosen again
    });
    clear.addEventListener("click", () => this.clear());
    this.takeDrops();
    if (draws) this.takeStrokes();
    this.wipe();
  }

  // The image to send: the chosen file, or the drawing as PNG.
  blob() {
    if (this.file) return Promise.resolve(this.file);
    return new Promise((resolve) => this.canvas.toBlob(resolve, "image/png"));
  }

  clear() {
    this.wipe();
    this.set(null, false);
  }

  wipe() {
    this.paper.fillStyle = "#fff";
    this.paper.fillRect(0, 0, side, side);
    this.paper.fillStyle = "#6b6b6b";
    this.paper.font = "26px system-ui, sans-serif"; // shown at half the size on a phone
    this.paper.textAlign = "center";
    this.paper.fillText(draws ? "draw or drop" : "drop", side / 2, side / 2 - 8);
    this.paper.fillText("an image here", side / 2, side / 2 + 26);
  }

  set(file, full) {
    this.file = file;
    this.full = full;
    this.figure.classList.toggle("full", full);
    this.changed(file !== null);
  }

  async show(file) {
    this.paper.fillStyle = "#fff";
    this.paper.fillRect(0, 0, side, side);
    try {
      const picture = await createImageBitmap(file);
      const scale = Math.min(side / picture.width, side / picture.height);
      const width = picture.width * scale, height = picture.height * scale;
      this.paper.drawImage(picture, (side - width) / 2, (side - height) / 2, width, height);
      picture.close();
    } catch { // the browser may not support all formats of the server
      this.paper.fillStyle = "#4a4a4a";
      this.paper.fillText(file.name.slice(-30), side / 2, side / 2);
    }
    this.set(file, true);
  }

  takeDrops() {
    const over = (event, is) => {
      event.preventDefault();
      this.figure.classList.toggle("over", is);
    };
    this.figure.addEventListener("dragover", (event) => over(event, true));
    this.figure.addEventListener("dragleave", (event) => over(event, false));
    this.figure.addEventListener("drop", (event) => {
      over(event, false);
      if (event.dataTransfer.files.length > 0) this.show(event.dataTransfer.files[0]);
    });
  }

  takeStrokes() {
    let last = null;
    const place = (event) => {
      const box = this.canvas.getBoundingClientRect();
      return [((event.clientX - box.left) * side) / box.width, ((event.clientY - box.top) * side) / box.height];
    };
    const line = (from, to) => {
      this.paper.strokeStyle = "#000";
      this.paper.lineWidth = strokeWidth;
      this.paper.lineCap = this.paper.lineJoin = "round";
      this.paper.beginPath();
      this.paper.moveTo(...from);
      this.paper.lineTo(...to);
      this.paper.stroke();
    };
    this.canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      event.preventDefault();
      this.canvas.setPointerCapture(event.pointerId);
      if (this.file || !this.full) { // a new drawing
        this.paper.fillStyle = "#fff";
        this.paper.fillRect(0, 0, side, side);
      }
      last = place(event);
      line(last, last);
      this.file = null;
      this.full = true;
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (!last) return;
      const here = place(event);
      line(last, here);
      last = here;
    });
    for (const end of ["pointerup", "pointercancel"]) {
      this.canvas.addEventListener(end, () => {
        if (last) this.set(null, true);
        last = null;
      });
    }
  }
}

// Creates an element with a class and a text.
export function make(tag, name = "", text = "") {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text) element.textContent = text;
  return element;
}
