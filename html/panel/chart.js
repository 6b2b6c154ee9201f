// Draws lines over time on a canvas, in the colours of the style sheet.

export class Chart {
  /** `formatValue` formats a value of the vertical axis. `logarithmic` selects a logarithmic axis. */
  constructor(canvas, { formatValue, logarithmic = false }) {
    this.canvas = canvas;
    this.formatValue = formatValue;
    this.logarithmic = logarithmic;
    this.lines = [];
    this.span = 60;
    this.pending = false;
    new ResizeObserver(() => this.redraw()).observe(canvas);
  }

  /** Returns whether the canvas has a size: it has none while its tab is not shown. */
  isVisible() {
    return this.canvas.clientWidth > 0;
  }

  /** Shows lines over the last `span` seconds. A line has a name, a colour (`ink`), and points [age in seconds, value]. */
  show(lines, span) {
    this.lines = lines;
    this.span = span;
    this.redraw();
  }

  /** Draws the chart before the next frame. */
  redraw() {
    if (!this.pending) {
      this.pending = true;
      requestAnimationFrame(() => {
        this.pending = false;
        this.draw();
      });
    }
  }

  draw() {
    const { width, height } = this.canvas.getBoundingClientRect();
    if (width === 0) {
      return;
    }
    const scale = devicePixelRatio || 1;
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    const pen = this.canvas.getContext("2d");
    pen.scale(scale, scale);
    const style = getComputedStyle(this.canvas);
    // The style sheet registers these properties as colours, so the value is a colour that a canvas accepts.
    const colour = (name) => style.getPropertyValue(`--${name}`) || style.color;
    const area = { left: 52, right: width - 8, top: 24, bottom: height - 20 };
    const values = this.lines.flatMap((line) => line.points.map(([, value]) => value));
    const axis = this.logarithmic ? logarithmicAxis(values) : linearAxis(values);
    const x = (age) => area.right - (age / this.span) * (area.right - area.left);
    const y = (value) => area.bottom - axis.position(value) * (area.bottom - area.top);

    pen.font = `12px ${style.fontFamily}`;
    pen.lineWidth = 1;
    pen.textBaseline = "middle";
    for (const mark of axis.marks) {
      pen.strokeStyle = colour("line");
      pen.beginPath();
      pen.moveTo(area.left, y(mark));
      pen.lineTo(area.right, y(mark));
      pen.stroke();
      pen.fillStyle = colour("faint");
      pen.textAlign = "right";
      pen.fillText(this.formatValue(mark), area.left - 8, y(mark));
    }
    pen.textBaseline = "alphabetic";
    pen.textAlign = "left";
    pen.fillText(`${this.span} s ago`, area.left, height - 4);
    pen.textAlign = "right";
    pen.fillText("now", area.right, height - 4);
    this.drawLines(pen, colour, x, y, area);
  }

  drawLines(pen, colour, x, y, area) {
    let legend = area.left;
    for (const { name, ink, dashed, points } of this.lines) {
      pen.strokeStyle = pen.fillStyle = colour(ink);
      pen.lineWidth = 2;
      pen.lineJoin = "round";
      pen.setLineDash(dashed ? [5, 4] : []);
      pen.beginPath();
      points.forEach(([age, value], i) => {
        // A point that is far from the one before starts a new part of the line. A part of one point is a square.
        const startsPart = i === 0 || points[i - 1][0] - age > this.span / 20;
        if (startsPart) {
          pen.moveTo(x(age), y(value));
        } else {
          pen.lineTo(x(age), y(value));
        }
        const isSingle = startsPart && (i + 1 === points.length || age - points[i + 1][0] > this.span / 20);
        if (isSingle) {
          pen.fillRect(x(age) - 2, y(value) - 2, 4, 4);
        }
      });
      pen.stroke();
      pen.beginPath();
      pen.moveTo(legend, 10);
      pen.lineTo(legend + 18, 10);
      pen.stroke();
      pen.setLineDash([]);
      pen.textAlign = "left";
      pen.textBaseline = "middle";
      pen.fillText(name, legend + 24, 10);
      legend += 40 + pen.measureText(name).width;
    }
  }
}

/** Returns an axis from 0 to a round number. `position` returns 0 (bottom) to 1 (top). */
function linearAxis(values) {
  const most = Math.max(1, ...values);
  const magnitude = 10 ** Math.floor(Math.log10(most));
  const top = [1, 2, 5, 10].map((step) => step * magnitude).find((mark) => mark >= most);
  return { marks: [0, top / 2, top], position: (value) => value / top };
}

/** Returns a logarithmic axis whose marks are powers of ten. */
function logarithmicAxis(values) {
  const power = (value) => Math.log10(Math.max(value, 0.01));
  const least = values.length > 0 ? Math.floor(power(Math.min(...values))) : -1;
  const most = Math.max(least + 1, values.length > 0 ? Math.ceil(power(Math.max(...values))) : 1);
  const marks = Array.from({ length: most - least + 1 }, (_, i) => 10 ** (least + i));
  return { marks, position: (value) => (power(value) - least) / (most - least) };
}
