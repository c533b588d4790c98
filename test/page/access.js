// SPDX-License-Identifier: MPL-2.0
// Looks over the page as it is and gives what is wrong with it, as axe would: names and
// labels, roles and their children, ids, headings, targets, and contrast (WCAG 2.2, AA).
(() => {
  const wrong = new Set();
  const visible = e => e.checkVisibility({ visibilityProperty: true, opacityProperty: true, contentVisibilityAuto: false });
  const what = e => `<${e.tagName.toLowerCase()}${e.id ? ` id=${e.id}` : ""}${e.className?.baseVal ?? e.className ? ` class="${e.className.baseVal ?? e.className}"` : ""}> ${(e.textContent ?? "").trim().slice(0, 40)}`;

  // Names.
  const textOf = ids => ids.split(/\s+/).map(id => document.getElementById(id)?.textContent ?? "").join(" ").trim();
  const nameOf = e => e.getAttribute("aria-label")?.trim() || textOf(e.getAttribute("aria-labelledby") ?? "") ||
    [...(e.labels ?? [])].map(l => l.textContent.trim()).join(" ") || (/^(A|BUTTON)$/.test(e.tagName) ? e.textContent.trim() : "");
  for (const e of document.querySelectorAll("a, button, input, select, textarea, [role=img], [role=table], main section"))
    if (visible(e) && !nameOf(e)) wrong.add(`no name: ${what(e)}`);
  for (const e of document.querySelectorAll("[aria-labelledby], [aria-describedby], label[for]"))
    for (const id of [e.getAttribute("aria-labelledby"), e.getAttribute("aria-describedby"), e.getAttribute("for")].filter(Boolean).join(" ").split(" "))
      if (!document.getElementById(id)) wrong.add(`names #${id}, which is not there: ${what(e)}`);

  // Roles and what may be in them.
  for (const row of document.querySelectorAll("[role=row]"))
    for (const child of row.children)
      if (!["cell", "columnheader", "rowheader"].includes(child.getAttribute("role"))) wrong.add(`in a row, and no cell: ${what(child)}`);
  for (const group of document.querySelectorAll("[role=rowgroup]"))
    for (const child of group.children) if (child.getAttribute("role") !== "row") wrong.add(`in a group of rows, and no row: ${what(child)}`);
  for (const e of document.querySelectorAll("[role=cell], [role=columnheader]"))
    if (e.parentElement.getAttribute("role") !== "row") wrong.add(`a cell outside of a row: ${what(e)}`);
  for (const table of document.querySelectorAll("[role=table]")) {
    const widths = new Set([...table.querySelectorAll("[role=row]")].map(r => [...r.children].filter(c => getComputedStyle(c).display !== "none").length));
    if (widths.size > 1) wrong.add(`rows of ${[...widths].join(" and ")} cells: ${what(table)}`);
  }

  // Ids, headings, the rest.
  const ids = [...document.querySelectorAll("[id]")].map(e => e.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) wrong.add(`#${id} is there twice`);
  let level = 0;
  for (const h of document.querySelectorAll("h1, h2, h3, h4")) {
    if (!visible(h)) continue;
    if (+h.tagName[1] > level + 1) wrong.add(`a heading that skips a level: ${what(h)}`);
    level = +h.tagName[1];
  }
  if (document.querySelectorAll("h1").length !== 1 || !document.querySelector("main") || !document.documentElement.lang || !document.title) wrong.add("not one h1, no main, no language or no title");
  for (const e of document.querySelectorAll("[tabindex]")) if (e.tabIndex > 0) wrong.add(`a tabindex above zero: ${what(e)}`);
  for (const e of document.querySelectorAll("button, input:not([type=radio]), select")) {
    const box = e.getBoundingClientRect();
    if (visible(e) && !e.closest(".head") && (box.height < 18 || box.width < 24)) wrong.add(`a target of ${box.width}×${box.height}: ${what(e)}`);
  }

  // Contrast.
  const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = color => {
    paint.clearRect(0, 0, 1, 1);
    paint.fillStyle = color;
    paint.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = paint.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, under) => top.slice(0, 3).map((c, i) => c * top[3] + under[i] * (1 - top[3])).concat(1);
  const ground = e => {
    const layers = [];
    for (let at = e; at; at = at.parentElement) layers.push(rgba(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255, 1]);
  };
  const light = c => c.slice(0, 3).map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const contrast = (a, b) => (Math.max(light(a), light(b)) + .05) / (Math.min(light(a), light(b)) + .05);
  let texts = 0, lowest = 21, least = "";
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || e.closest(".hidden, noscript, option, .skip, :disabled") || !visible(e)) continue;
    const style = getComputedStyle(e), under = ground(e), ratio = contrast(over(rgba(style.color), under), under);
    const size = parseFloat(style.fontSize), large = size >= 24 || size >= 18.66 && +style.fontWeight >= 700;
    texts++;
    if (size < 12) wrong.add(`a text of ${size} px: ${what(e)}`);
    if (ratio < lowest) [lowest, least] = [ratio, what(e)];
    if (ratio < (large ? 3 : 4.5)) wrong.add(`contrast ${ratio.toFixed(2)}: ${what(e)}`);
  }
  for (const e of document.querySelectorAll("input:not([type=radio]), select, textarea, button:not(.head button):not(.main)")) { // their borders: 3 to 1
    if (!visible(e)) continue;
    const under = ground(e.parentElement), ratio = contrast(over(rgba(getComputedStyle(e).borderTopColor), under), under);
    if (ratio < 3 && !e.disabled) wrong.add(`a border of contrast ${ratio.toFixed(2)}: ${what(e)}`);
  }
  return { Wrong: [...wrong], Texts: texts, Lowest: lowest, Least: least };
})()
