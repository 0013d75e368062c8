// The list says which recordings have not wholly arrived from this browser, and writes times as people here write them.

import { byId, el, many, moment, root } from "./dom.js";
import { leftBehind } from "./keep.js";

for (const time of document.querySelectorAll("time")) time.textContent = moment(time.dateTime);

const left = await leftBehind();
if (left.size) {
  const links = [...left].map(([encounter, seconds]) => {
    const row = document.querySelector(`[data-encounter="${CSS.escape(encounter)}"] a`);
    const name = row?.textContent ?? "An encounter that is not in this list";
    const address = `${root}/scribe/record/${encodeURIComponent(encounter)}`;
    return el("li", {}, el("a", { href: address }, name), `: ${many(Math.round(seconds), "second")}`);
  });
  byId("left").append(
    el("p", {}, "Recorded here and not yet with the hub. Open the page and it is sent:"),
    el("ul", {}, ...links),
  );
  byId("left").hidden = false;
}
