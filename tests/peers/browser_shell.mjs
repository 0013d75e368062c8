// A browser that does what it is told: each line of the input is JSON, {"code": "..."}; the answer is a line of JSON,
// {"value": ...} or {"error": "..."}. The code is the body of an async function of `page`, `context`, `said`, which holds
// what the pages have written to their consoles, and `held`, which lives on; `held.open({...})` comes first.
import {createInterface} from "node:readline";
import {chromium} from "playwright-core";

const wanted = JSON.parse(process.argv[2]);
const browser = await chromium.launch({
  executablePath: wanted.chromium,
  args: [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
  ],
});
const held = {said: []};

// A context is a browser of its own, with its own cookies and storage; the one before it ends.
held.open = async options => {
  await held.context?.close();
  held.said = [];
  held.context = await browser.newContext({
    viewport: {width: 1280, height: 800}, permissions: ["microphone"], ...options,
  });
  held.context.setDefaultTimeout(20000);
  held.context.on("page", page => {
    page.on("console", message => held.said.push(message.text()));
    page.on("pageerror", error => held.said.push(String(error)));
  });
  held.page = await held.context.newPage();
};
const Told = Object.getPrototypeOf(async () => {}).constructor;

for await (const line of createInterface({input: process.stdin})) {
  const {code} = JSON.parse(line);
  try {
    const value = await new Told("page", "context", "said", "held", code)(held.page, held.context, held.said, held);
    console.log(JSON.stringify({value: value ?? null}));
  } catch (error) {
    console.log(JSON.stringify({error: `${error.message}\n${held.said.slice(-5).join("\n")}`}));
  }
}
await browser.close();
