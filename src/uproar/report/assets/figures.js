"use strict";
// Draws the figures in the colours of the current theme, and again when the theme changes.
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const drawn = new Map();
  const visible = new Set();
  uproar.visible = visible;

  const translucent = (colour, share) => {
    const [red, green, blue] = colour.match(/[\d.]+/g);
    return `rgba(${red},${green},${blue},${share})`;
  };
  const slot = (number) => uproar.colour(number < 0 ? "slot-random" : `slot-${number}`);

  const paint = {
    line: (trace) => {
      const colour = slot(trace.meta.slot);
      trace.line.color = colour;
      trace.marker.color = colour;
    },
    band: (trace) => { trace.fillcolor = translucent(slot(trace.meta.slot), trace.meta.slot < 0 ? 0.22 : 0.14); },
    frontier: (trace) => { trace.line.color = uproar.colour("soft"); },
    cost: (trace) => {
      trace.marker.color = trace.meta.slots.map(slot);
      trace.marker.line = { color: uproar.colour("surface"), width: 1 };
      trace.error_y.color = translucent(uproar.colour("soft"), 0.6);
      trace.textfont = { color: uproar.colour("ink"), size: 12 };
    },
    importance: (trace) => {
      trace.marker.color = slot(trace.meta.slot);
      trace.error_x.color = translucent(slot(trace.meta.slot), 0.6);
    },
    correlations: (trace) => {
      trace.colorscale = ["pair-worse", "pair-alike", "pair-better"].map((name, index) => [index / 2, uproar.colour(name)]);
      trace.textfont = { color: uproar.colour("ink"), size: 11 };
    },
    pairs: (trace) => {
      const steps = ["pair-worse", "pair-alike", "pair-better"].map(uproar.colour);
      trace.colorscale = steps.flatMap((colour, index) => [[index / 3, colour], [(index + 1) / 3, colour]]);
      trace.textfont = { color: uproar.colour("ink"), size: 12 };
    },
  };

  const themed = (figure) => {
    const { data, layout } = structuredClone(figure);
    for (const trace of data) {
      paint[trace.meta.part](trace);
      if ("explainer" in trace.meta) trace.visible = visible.has(trace.meta.explainer);
    }
    const [ink, soft, grid] = ["ink", "soft", "grid"].map(uproar.colour);
    layout.paper_bgcolor = "rgba(0,0,0,0)";
    layout.plot_bgcolor = "rgba(0,0,0,0)";
    layout.modebar = { bgcolor: "rgba(0,0,0,0)", color: soft, activecolor: ink };
    layout.font = { color: soft, size: 12, family: getComputedStyle(document.body).fontFamily };
    layout.hoverlabel = { ...layout.hoverlabel, bgcolor: uproar.colour("raised"), bordercolor: uproar.colour("rule"), font: { color: ink, size: 13 } };
    for (const axis of [layout.xaxis, layout.yaxis]) Object.assign(axis, { gridcolor: grid, zerolinecolor: soft, linecolor: soft });
    for (const shape of layout.shapes ?? []) shape.line.color = soft;
    return { data, layout };
  };

  // A saved picture has to explain itself: it gets the legend that the page shows only once.
  const save = (target) => {
    const { data, layout } = themed(figures[target.dataset.figure]);
    const shown = data.filter((trace) => trace.visible !== false);
    const complete = { ...layout, showlegend: shown.some((trace) => trace.meta.part === "line"), paper_bgcolor: uproar.colour("surface"), width: 1000, height: 560 };
    if (layout.width) Object.assign(complete, { width: layout.width, height: layout.height });
    Plotly.downloadImage({ data: shown, layout: complete }, { format: "svg", filename: target.dataset.figure, width: complete.width, height: complete.height });
  };

  const config = (target) => ({
    responsive: !target.classList.contains("fixed"),
    displaylogo: false,
    displayModeBar: "hover",
    modeBarButtons: [[
      { name: "save", title: "Save as SVG", icon: Plotly.Icons.camera, click: save },
      "zoom2d", "pan2d", "resetScale2d",
    ]],
  });

  const draw = (target) => {
    const { data, layout } = themed(figures[target.dataset.figure]);
    return Plotly.react(target, data, layout, config(target)).then(() => {
      if (data.some((trace) => trace.meta.part === "cost")) placeLabels(target);
    });
  };

  // Labels go where they cover neither a point nor another label; one without a place is left to hovering.
  const PLACES = ["middle right", "middle left", "top center", "bottom center", "top right", "bottom right", "top left", "bottom left"];
  const boxAt = (place, x, y, width) => {
    const [vertical, horizontal] = place.split(" ");
    const left = { right: x + 8, left: x - width - 8, center: x - width / 2 }[horizontal];
    const top = { top: y - 21, bottom: y + 6, middle: y - 8 }[vertical];
    return { left, top, right: left + width, bottom: top + 15 };
  };
  const overlap = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  const plain = (text) => text.replace(/&(lt|gt|amp);/g, "x");

  // Error bars, and both legs of every step of the dotted line.
  const obstacles = (target, data, index, spots) => {
    const { xaxis, yaxis } = target._fullLayout;
    const { y, error_y: reach } = data[index];
    const bars = spots.map(([left], point) => ({ left: left - 2, right: left + 2, top: yaxis.d2p(y[point] + reach.array[point]), bottom: yaxis.d2p(y[point] - reach.arrayminus[point]) }));
    const steps = data[0].x.map((value, point) => [xaxis.d2p(value), yaxis.d2p(data[0].y[point])]);
    const legs = steps.slice(1).flatMap(([x, y], point) => {
      const [oldX, oldY] = steps[point];
      return [{ left: oldX, right: x, top: oldY - 1, bottom: oldY + 1 }, { left: x - 1, right: x + 1, top: Math.min(y, oldY), bottom: Math.max(y, oldY) }];
    });
    return [...bars, ...legs];
  };

  const placeLabels = (target) => {
    const original = figures[target.dataset.figure].data;
    const index = original.findIndex((trace) => trace.meta.part === "cost");
    const { x, y, text } = original[index];
    const { xaxis, yaxis } = target._fullLayout;
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    const spots = x.map((value, point) => [xaxis.d2p(value), yaxis.d2p(y[point])]);
    const taken = spots.map(([left, top]) => ({ left: left - 6, right: left + 6, top: top - 6, bottom: top + 6 }));
    taken.push(...obstacles(target, original, index, spots));
    const chosen = spots.map(([left, top], point) => {
      const width = pen.measureText(plain(text[point])).width + 4;
      for (const place of PLACES) {
        const box = boxAt(place, left, top, width);
        const inside = box.left > 0 && box.right < xaxis._length && box.top > 0 && box.bottom < yaxis._length;
        if (inside && !taken.some((other, owner) => owner !== point && owner !== point + spots.length && overlap(box, other))) {
          taken.push(box);
          return place;
        }
      }
      return null;
    });
    return Plotly.restyle(target, {
      text: [text.map((name, point) => (chosen[point] ? name : ""))],
      textposition: [chosen.map((place) => place ?? "middle right")],
    }, [index]);
  };

  // A figure in a hidden block or closed details may have no size: it is drawn when it is shown.
  uproar.drawShown = async () => {
    for (const target of document.querySelectorAll(".figure")) {
      if (drawn.has(target) || target.offsetParent === null || target.closest("details:not([open])")) continue;
      drawn.set(target, true);
      await draw(target);
      await new Promise((resolve) => { setTimeout(resolve); });
    }
  };
  uproar.showExplainers = () => Promise.all([...drawn.keys()].map((target) => {
    const traces = target.data ?? [];
    const wanted = traces.map((trace) => (trace.meta.explainer === undefined ? true : visible.has(trace.meta.explainer)));
    return traces.some((trace) => "explainer" in trace.meta) ? Plotly.restyle(target, { visible: wanted }) : null;
  }));
  uproar.onTheme.push(() => [...drawn.keys()].forEach(draw));

  let waiting = 0;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      for (const target of drawn.keys()) if (target.classList.contains("tall") && target.offsetParent) placeLabels(target);
    }, 250);
  });
})();
