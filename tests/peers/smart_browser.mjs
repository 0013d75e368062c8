// A person with Chromium: opens the app, signs in, chooses a patient where one is asked for, allows it all.
// The argument is JSON: chromium, url, name, password, patient. Prints what the app has found, as JSON.
import {chromium} from "playwright-core";

const wanted = JSON.parse(process.argv[2]);
const browser = await chromium.launch({
  executablePath: wanted.chromium,
  args: [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
  ],
});
const said = [];
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(30000);
  page.on("console", message => said.push(message.text()));
  page.on("pageerror", error => said.push(String(error)));
  await page.goto(wanted.url);
  const titles = [];
  await page.waitForSelector("input[name=password]");
  titles.push(await page.title());
  await page.fill("input[name=username]", wanted.name);
  await page.fill("input[name=password]", wanted.password);
  await page.click("button[type=submit]");
  if (wanted.patient) {
    await page.waitForSelector("input[name=patient][type=radio]");
    titles.push(await page.title());
    await page.check(`input[name=patient][value=${wanted.patient}]`);
    await page.click("button[name=next]");
  }
  await page.waitForSelector("button[name=decision][value=allow]");
  titles.push(await page.title());
  await page.click("button[name=decision][value=allow]");
  await page.waitForFunction(() => window.result !== undefined);
  const result = await page.evaluate(() => window.result);
  console.log(JSON.stringify({...result, titles, address: page.url(), said}));
} catch (error) {
  console.log(JSON.stringify({error: String(error), said}));
} finally {
  await browser.close();
}
