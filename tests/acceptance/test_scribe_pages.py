"""The pages of encounters in a browser: recording, review, signing."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from acceptance.running import eventually
from chromium import Chromium
from oidc_answers import CLIENT, Provider
from osler.api.people.identity_provider import ProviderSettings
from osler.api.people.roles import Role
from osler.api.people.service import Policy
from osler.audit import Agent
from osler.domain.transcript import SpeakerRole
from osler.draft.port import Style
from scribe_site import PASSWORD, ScribeSite, tone

CLINICIAN, PATIENT = SpeakerRole.CLINICIAN, SpeakerRole.PATIENT
EVIL = "<script>window.hacked = 1</script><img src=x onerror='window.hacked=1'> \"quoted\" \u202etxet\u202c שלום"
LINES = (
    (CLINICIAN, "Good morning, what brings you in today?"),
    (PATIENT, "I have had a cough for three days, and no fever."),
    (CLINICIAN, "Do you take anything?"),
    (PATIENT, "I take lisinopril 10 milligrams every morning, and I am allergic to penicillin."),
    (PATIENT, f"My page says {EVIL} all day."),
    (CLINICIAN, "This is acute bronchitis, I think."),
    (CLINICIAN, "Start azithromycin 250 milligrams daily, and come back in a week."),
)
SAID = (
    ("subjective", "The patient reports a cough for three days.", 2, "I have had a cough for three days"),
    (
        "subjective",
        "The patient takes lisinopril 20 mg every morning.",
        4,
        "I take lisinopril 10 milligrams every morning",
    ),
    ("subjective", "The patient has diabetes.", 2, "no fever"),
    ("subjective", f"The patient's page says {EVIL} all day.", 5, f"My page says {EVIL} all day."),
    ("assessment", "Acute bronchitis.", 6, "This is acute bronchitis"),
    ("plan", "Start azithromycin 250 mg daily.", 7, "Start azithromycin 250 milligrams daily"),
    ("plan", "Come back in a week.", 7, "come back in a week"),
)
SHOTS = os.environ.get("OSLER_TEST_SCREENSHOTS", "")


@pytest.fixture
def site(new_sqlite: Callable[[Path], str], tmp_path: Path) -> Iterator[ScribeSite]:
    url = new_sqlite(tmp_path / "osler.db")
    made = ScribeSite(url, tmp_path, lines=LINES, said=SAID, destinations=("", "gone"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def chromium(need: Callable[..., str], need_peer: Callable[[str], Path]) -> Iterator[Chromium]:
    with Chromium(need("node"), need("chromium"), need_peer("playwright-core")) as started:
        yield started


@pytest.fixture
def browser(chromium: Chromium) -> Chromium:
    chromium.open()
    return chromium


def sign_in(browser: Chromium, site: ScribeSite, path: str = "/scribe/") -> None:
    """Open a page, which leads to the sign-in and back."""
    browser.do(
        """
        await page.goto(url);
        await page.fill("input[name=username]", "ann");
        await page.fill("input[name=password]", password);
        await page.click("button[type=submit]");
        await page.waitForURL(url);
        """,
        url=site.url + path,
        password=PASSWORD,
    )


def opened(browser: Chromium, site: ScribeSite) -> str:
    """Open an encounter of P1 with consent by the form; return its id."""
    sign_in(browser, site, "/scribe/new")
    found: str = browser.do(
        """
        await page.fill("#q", "amber");
        await page.click("button[type=submit]");
        await page.click("main .list a");
        await page.check("input[name=consent][value=verbal]");
        await page.click("button[type=submit]");
        await page.waitForURL("**/scribe/record/*");
        return page.url().split("/").at(-1);
        """
    )
    return found


def drafted(browser: Chromium, site: ScribeSite, folder: Path) -> str:
    """Open an encounter, hand in its audio, and wait for the draft."""
    encounter = opened(browser, site)
    path = folder / "visit.wav"
    path.write_bytes(tone(len(LINES)))
    browser.do(
        """
        await page.click("#files summary");
        await page.setInputFiles("#audio", path);
        await page.click("#audio-form button");
        await page.waitForURL("**/scribe/review/*");
        await page.waitForSelector(".statement");
        """,
        path=str(path),
    )
    return encounter


def shot(browser: Chromium, name: str) -> None:
    """Keep a picture when somebody wants to look at it."""
    if SHOTS:
        browser.do("await page.screenshot({path})", path=f"{SHOTS}/{name}.png")


def test_who_is_not_signed_in_is_led_to_the_sign_in_and_back(browser: Chromium, site: ScribeSite) -> None:
    sign_in(browser, site, "/scribe/new")
    assert browser.texts("main .list a") == ["Bert Birch", "Ada Amber"], "those who changed last"
    browser.do("await page.fill('#q', 'amber'); await page.click('form button')")
    assert browser.do("return page.url()") == f"{site.url}/scribe/new", "no name stands in an address"
    assert browser.texts("main .list a") == ["Ada Amber"]
    browser.do("await page.fill('#q', 'M-P2'); await page.click('form button')")
    assert browser.texts("main .list a") == ["Bert Birch"]
    browser.do("await page.goto(url)", url=f"{site.url}/scribe/")
    assert "No encounter yet" in browser.text("main")
    assert {"resource-searched", "encounters-listed"} <= set(site.events())
    browser.do("await page.click('header a.who'); await page.click('main a[href=\"/scribe/\"]')")
    assert browser.do("return page.url()") == f"{site.url}/scribe/"


def test_a_role_without_patients_sees_no_page(browser: Chromium, site: ScribeSite) -> None:
    browser.do(
        """
        await page.goto(url);
        await page.fill("input[name=username]", "max");
        await page.fill("input[name=password]", password);
        await page.click("button[type=submit]");
        """,
        url=f"{site.url}/scribe/",
        password=PASSWORD,
    )
    assert "Not for you" in browser.text("main")
    assert "access-denied" in site.events()


def test_the_policy_lets_in_nothing_but_our_own_files(browser: Chromium, site: ScribeSite) -> None:
    sign_in(browser, site)
    headers = browser.do("return (await page.goto(url)).headers()", url=f"{site.url}/scribe/new")
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["cache-control"] == "no-store"
    script = browser.do(
        "const a = await page.request.get(url); return [a.status(), a.headers().etag, a.headers()['content-type']]",
        url=f"{site.url}/scribe/static/dom.js",
    )
    assert (script[0], script[2]) == (200, "text/javascript; charset=utf-8")
    again = "return (await page.request.get(url, {headers: {'if-none-match': tag}})).status()"
    assert browser.do(again, url=f"{site.url}/scribe/static/dom.js", tag=script[1]) == 304
    for name in ("pages.py", "..%2Fpages.py", "none.js"):
        assert (
            browser.do("return (await page.request.get(url)).status()", url=f"{site.url}/scribe/static/{name}") == 404
        )


def test_a_person_of_an_identity_provider_goes_there_and_comes_back_to_a_signed_note(
    browser: Chromium, new_sqlite: Callable[[Path], str], tmp_path: Path
) -> None:
    provider = Provider()
    settings = ProviderSettings(provider.issuer, CLIENT, name="St Mary ID", roles={"doctors": Role.CLINICIAN})
    url, policy = new_sqlite(tmp_path / "osler.db"), Policy(provider=settings)
    site = ScribeSite(url, tmp_path, lines=LINES, said=SAID, policy=policy)
    provider.clock.now = time.time()
    provider.token = lambda: provider.signed(nonce=provider.nonce, auth_time=time.time())
    sign = """
        await page.waitForSelector("#sign-open:not([hidden])");
        await page.click("#sign-open");
        await page.click("#sign button[type=submit]");
        """
    try:
        browser.do("await page.goto(url)", url=f"{site.url}/oauth/external?return_to=/scribe/")
        browser.do("await page.goto(url)", url=f"{site.url}/scribe/review/{site.drafted(LINES)}")
        provider.gives = {"error": "access_denied"}
        browser.do(sign + "await page.waitForSelector('#alert:not([hidden])');")
        assert "not signed: you did not sign in again" in browser.text("#alert")
        assert browser.text("#label") == "AI draft – nobody has signed it"
        assert "#" not in browser.do("return page.url()")

        provider.gives = {"code": "c"}
        signed = "await page.waitForFunction(() => document.querySelector('#label').textContent.startsWith('Signed'))"
        browser.do(sign + signed)
        assert browser.text("#label").startswith("Signed by grace")
        shot(browser, "signed-again")
    finally:
        site.stop()
        provider.server.stop()


def test_a_note_is_reviewed_with_the_keyboard_and_signed(browser: Chromium, site: ScribeSite, tmp_path: Path) -> None:
    drafted(browser, site, tmp_path)
    assert browser.text("#label") == "AI draft – nobody has signed it"
    shot(browser, "review")
    press = "for (const key of keys) await page.keyboard.press(key)"

    browser.do(press, keys=["j"])
    assert browser.texts(".utterance.lit .words mark") == ["I have had a cough for three days"]
    browser.do("await page.keyboard.press('j')")
    focused = "return await page.evaluate(() => document.activeElement.innerText)"
    assert "Contradicted" in browser.do(focused)
    assert browser.texts(".statement del") == [
        "The patient takes lisinopril 20 mg every morning.",
        "The patient has diabetes.",
    ]
    shot(browser, "review-lit")

    heard = browser.do(
        """
        const answer = page.waitForResponse(one => one.url().includes("/audio?"));
        await page.keyboard.press("p");
        const given = await answer;
        await page.waitForFunction(() => document.querySelector("#status").textContent === "Playing.");
        return [given.status(), new URL(given.url()).search, given.headers()["content-type"]];
        """
    )
    assert heard == [200, "?start=2.70&end=4.30", "audio/wav"]

    browser.do(
        """
        await page.keyboard.press("e");
        await page.fill(".editor textarea", "The patient takes lisinopril 10 mg every morning.");
        """
    )
    shot(browser, "review-edit")
    browser.do(
        """
        await page.keyboard.press("Enter");
        await page.waitForSelector(".statement.own");
        """
    )
    assert "Changed by ann." in browser.text(".statement.own")
    assert "lisinopril 10 mg" in browser.do(focused), "the focus stays"
    browser.do("await page.keyboard.press('j'); await page.keyboard.press('x'); await page.waitForSelector('.removed')")
    assert "Removed by ann." in browser.text(".statement.removed")
    browser.do("await page.keyboard.press('x'); await page.waitForFunction(() => !document.querySelector('.removed'))")
    assert "Not supported" in browser.do(focused)

    assert browser.texts(".omission .kind") == ["Allergy"], "the drug is in the note by now"
    browser.do(
        """
        await page.click("#jumps .left");
        await page.keyboard.press("a");
        await page.fill(".omission textarea", "Allergic to penicillin.");
        """
    )
    assert browser.do("return await page.inputValue('.editor select')") == "subjective"
    shot(browser, "review-omission")
    browser.do(
        """
        await page.keyboard.press("Enter");
        await page.waitForFunction(() => document.querySelector("#status").textContent === "Added.");
        """
    )
    assert browser.texts(".omission .kind") == []
    assert "Written by ann." in browser.texts(".note-section")[0]

    assert browser.texts("#codes code") == ["J20.9"]
    browser.do(
        """
        await page.check("#codes input");
        await page.waitForFunction(() => document.querySelector("#status").textContent === "J20.9 taken.");
        """
    )
    browser.do(
        """
        await page.click("#jumps :text('2 orders')");
        await page.keyboard.press("o");
        await page.waitForSelector(".order.kept");
        """
    )
    assert "azithromycin – 250 mg, daily" in browser.text(".order.kept")
    assert browser.texts(".utterance.lit .words mark") == ["Start azithromycin 250 milligrams daily"]
    browser.do("await page.keyboard.press('j'); await page.keyboard.press('x'); await page.waitForSelector('.dropped')")
    assert browser.text(".order.dropped del") == "Visit follow-up – in a week"
    shot(browser, "orders")
    browser.do("await page.focus('#statement-s2')")
    browser.do("await page.keyboard.press('/'); await page.keyboard.type('penicillin')")
    assert len(browser.texts(".hit")) == 2
    browser.do("await page.keyboard.press('Escape'); await page.keyboard.press('?')")
    assert "next statement" in browser.text("#help")
    shot(browser, "help")
    browser.do("await page.keyboard.press('Escape'); await page.keyboard.press('s')")
    assert "You answer for 7 statements." in browser.text("#sign")
    assert "1 statement struck through is left out." in browser.text("#sign")
    assert "1 order goes out as a proposal: nothing is placed." in browser.text("#sign")
    sign = "await page.fill('#password', password); await page.click('#sign button[type=submit]')"
    browser.do(sign, password="another")
    browser.do("await page.waitForSelector('#sign-wrong:not([hidden])')")
    assert "not your password" in browser.text("#sign-wrong")
    shot(browser, "sign")
    browser.do(sign, password=PASSWORD)
    browser.do("await page.waitForSelector('.delivery.delivered'); await page.waitForSelector('.delivery.failed')")
    assert "no destination of that name" in browser.text(".delivery.failed")
    browser.do(
        """
        await page.click(".delivery.failed button");
        await page.waitForFunction(() => document.querySelector(".delivery.failed"));
        await page.locator("#deliveries").scrollIntoViewIfNeeded();
        """
    )
    shot(browser, "deliveries")
    assert browser.text("#label").startswith("Signed by ann,")
    assert "Chart" in browser.text("#deliveries")
    items = browser.do("return await page.evaluate(() => document.querySelector('#deliveries').textContent)")
    assert (items.count("MedicationRequest/"), items.count("ServiceRequest/")) == (1, 0)
    shot(browser, "signed")

    browser.do(
        """
        await page.focus(".statement");
        await page.keyboard.press("e");
        await page.fill(".editor textarea", "The patient reports a dry cough for three days.");
        await page.keyboard.press("Enter");
        await page.waitForSelector("#sign-open:not([hidden])");
        """
    )
    assert browser.text("#label").startswith("Changed since it was signed by ann")
    browser.do("await page.click('#sign-open')")
    browser.do(sign, password=PASSWORD)
    browser.do("await page.waitForFunction(() => document.querySelectorAll('.delivery.delivered').length === 2)")
    assert browser.text("#label").startswith("Signed by ann,")
    assert {"note-signed", "note-amended", "audio-heard", "note-delivery-retried"} <= set(site.events())


def test_what_was_said_is_never_markup(browser: Chromium, site: ScribeSite, tmp_path: Path) -> None:
    drafted(browser, site, tmp_path)
    for selector in (".utterance .words", ".statement .text"):
        (shown,) = [text for text in browser.texts(selector) if "<script>" in text]
        assert "<img src=x onerror='window.hacked=1'> \"quoted\"" in shown
        assert "\u202e" not in shown, "nothing turns the letters around"
    browser.do(
        """
        await page.focus("#statement-s4");
        await page.keyboard.press("e");
        await page.keyboard.press("End");
        await page.keyboard.type(" More <b onclick=x>");
        await page.keyboard.press("Enter");
        await page.waitForSelector(".statement.own");
        """
    )
    assert "More <b onclick=x>" in browser.text(".statement.own .text")
    found = browser.do(
        """
        const alien = "main img, main script, main b[onclick]";
        const look = selector => [window.hacked ?? null, document.querySelectorAll(selector).length];
        return await page.evaluate(look, alien);
        """
    )
    assert found == [None, 0]
    assert [line for line in browser.do("return said") if "Content Security Policy" in line] == []


def test_somebody_else_changes_the_note_meanwhile(browser: Chromium, site: ScribeSite, tmp_path: Path) -> None:
    drafted(browser, site, tmp_path)
    browser.do(
        """
        await page.focus("#statement-s1");
        await page.keyboard.press("e");
        await page.fill(".editor textarea", "A cough since Monday.");
        held.other = await context.newPage();
        await held.other.goto(page.url());
        await held.other.focus("#statement-s1");
        await held.other.keyboard.press("x");
        await held.other.waitForSelector(".removed");
        await page.keyboard.press("Enter");
        await page.waitForSelector(".editor .warning");
        """
    )
    assert "Somebody changed the note meanwhile" in browser.text(".editor .warning")
    assert browser.do("return await page.inputValue('.editor textarea')") == "A cough since Monday."
    assert "Removed by ann." in browser.text("#statement-s1")
    shot(browser, "conflict")
    browser.do("await page.keyboard.press('Enter'); await page.waitForSelector('.statement.own')")
    assert "A cough since Monday." in browser.text("#statement-s1")


def test_roles_are_swapped_and_a_section_is_written_anew(browser: Chromium, site: ScribeSite, tmp_path: Path) -> None:
    drafted(browser, site, tmp_path)
    browser.do(
        """
        const menu = page.locator(".note-section").first();
        await menu.locator("summary").click();
        await menu.getByText("brief").click();
        await page.waitForFunction(() => document.querySelector("#status").textContent.includes("is written anew"));
        """
    )
    assert len(browser.texts(".note-section:first-child .statement")) == 1
    browser.do(
        """
        const menu = page.locator(".note-section[data-key=assessment]");
        await menu.locator("summary").click();
        await menu.getByText("by problem").click();
        await page.waitForFunction(() => document.querySelector("#status").textContent.startsWith("Assessment"));
        """
    )
    assert site.writer.asked[-1] == Style(by_problem=True)
    assert not browser.do("return await page.locator('.note-section').first().getByText('by problem').count()")
    browser.do(
        """
        await page.click("#speakers button");
        await page.click("#ask [data-yes]");
        await page.waitForSelector(".utterance:first-child.patient");
        await page.waitForSelector(".statement");
        """
    )
    assert browser.text(".utterance:first-child .who b") == "Patient"
    assert "roles-changed" in site.events()


def test_a_transcript_is_handed_in(browser: Chromium, site: ScribeSite) -> None:
    opened(browser, site)
    shot(browser, "record")
    browser.do(
        """
        await page.click("#files summary");
        await page.fill("#transcript", text);
        await page.click("#transcript-form button");
        await page.waitForURL("**/scribe/review/*");
        await page.waitForSelector(".statement");
        await page.focus(".statement");
        await page.keyboard.press("p");
        """,
        text="\n".join(f"{role.value}: {text}" for role, text in LINES),
    )
    assert browser.do("return await page.evaluate(() => document.activeElement.id)") == "u2", (
        "there is no audio to play"
    )
    browser.do("await page.goto(url)", url=f"{site.url}/scribe/")
    assert "Review and sign" in browser.text(".encounters")
    shot(browser, "list")


def seconds(browser: Chromium) -> int:
    """Return what the clock of the recording shows."""
    minutes, rest = browser.text("#clock").split(":")
    return int(minutes) * 60 + int(rest)


def kept_in(browser: Chromium) -> list[list[int]]:
    """Return how each slice begins that the browser keeps."""
    found: list[list[int]] = browser.do(
        """
        return await page.evaluate(() => new Promise((resolve, reject) => {
          const request = indexedDB.open("osler-recordings");
          request.onerror = reject;
          request.onsuccess = () => {
            const db = request.result;
            const begins = slice => [...new Uint8Array(slice.sealed, 0, 4)];
            const all = db.transaction(["parts", "slices"]);
            all.objectStore("parts").getAll().onsuccess = ({target: {result: parts}}) => {
              all.objectStore("slices").getAll().onsuccess = ({target: {result: slices}}) => {
                db.close();
                resolve([...parts.flatMap(one => one.slices), ...slices].map(begins));
              };
            };
          };
        }));
        """
    )
    return found


def test_a_recording_survives_a_lost_network_and_a_closed_tab(browser: Chromium, site: ScribeSite) -> None:
    encounter = opened(browser, site)

    def arrived() -> int:
        return len(site.desk.capture.parts(encounter))

    browser.do("await page.click('#start'); await page.waitForSelector('#lamp[data-state=recording]')")
    eventually(arrived, "a part arrives while it records")
    browser.do(
        """
        await context.setOffline(true);
        await page.waitForFunction(() => /Offline: [1-9]/.test(document.querySelector("#sent").textContent));
        """
    )
    assert browser.do("return await page.getAttribute('#lamp', 'data-state')") == "offline"
    shot(browser, "record-offline")
    before, recorded = arrived(), seconds(browser)
    # The tab goes in the middle of it. What was recorded is there when the page is opened again.
    browser.do(
        """
        const address = page.url();
        await page.close();
        await context.setOffline(false);
        await context.route("**/audio/*/*", route => route.abort());
        held.page = await context.newPage();
        await held.page.goto(address);
        await held.page.waitForFunction(() => document.querySelector("#sent").textContent.startsWith("Offline"));
        """
    )
    assert seconds(browser) >= recorded - 1
    assert arrived() - before in (0, 1)  # one may have been on its way when the network went
    browser.do("await page.goto(url)", url=f"{site.url}/scribe/")
    browser.do("await page.waitForSelector('#left:not([hidden])')")
    assert "not yet with the hub" in browser.text("#left")
    shot(browser, "list-left")
    kept = kept_in(browser)
    assert kept
    assert [0x1A, 0x45, 0xDF, 0xA3] not in kept, "what is kept in the browser is sealed"
    browser.do(
        """
        await context.unroute("**/audio/*/*");
        await page.click("#left a");
        await page.waitForFunction(() => document.querySelector("#sent").textContent.startsWith("Everything"));
        """
    )
    assert arrived() > before
    browser.do(
        """
        await page.click("#start");
        await page.waitForFunction(() => document.querySelector("#level").value > 0);
        await page.click("#finish");
        await page.waitForURL("**/scribe/review/*");
        await page.waitForSelector(".statement");
        """
    )
    assert {part.take for part in site.desk.capture.parts(encounter)} == {0, 1}
    heard = browser.do(
        """
        await page.focus("#statement-s1");
        const coming = page.waitForResponse(one => one.url().includes("/audio?"));
        await page.keyboard.press("p");
        const answer = await coming;
        await answer.finished();
        return [answer.status(), Number(answer.headers()["content-length"])];
        """
    )
    assert heard[0] == 200
    assert heard[1] > 40000, "1.6 s of sound"
    assert kept_in(browser) == []


def test_a_recording_goes_on_when_the_session_ends(browser: Chromium, site: ScribeSite) -> None:
    encounter = opened(browser, site)
    browser.do(
        """
        await page.click("#start");
        await page.waitForSelector("#lamp[data-state=recording]");
        await context.clearCookies();
        await page.waitForFunction(() => document.querySelector("#sent").textContent.startsWith("You are signed out"));
        """
    )
    shot(browser, "record-signed-out")
    browser.do("held.first = page; held.page = await context.newPage()")
    assert site.desk.capture.parts(encounter) == []
    sign_in(browser, site)
    browser.do(
        """
        await held.first.bringToFront();
        await held.first.waitForFunction(() => document.querySelector("#sent").textContent.startsWith("Everything"));
        """
    )
    assert site.desk.capture.parts(encounter)
    # One window records; another says so.
    browser.do("await page.goto(held.first.url()); await page.waitForSelector('#alert:not([hidden])')")
    assert "open in another window" in browser.text("#alert")


def test_what_was_finished_elsewhere_can_be_saved(browser: Chromium, site: ScribeSite, tmp_path: Path) -> None:
    encounter = opened(browser, site)
    agent = Agent("ben", "person")
    browser.do(
        """
        await context.route("**/audio/*/*", route => route.abort());
        await page.click("#start");
        await page.waitForFunction(() => /Offline: [1-9]/.test(document.querySelector("#sent").textContent));
        """
    )
    site.desk.capture.add(agent, encounter, [(0, 0, tone(1))])
    site.desk.capture.finish(agent, encounter)
    browser.do("await context.unroute('**/audio/*/*'); await page.waitForSelector('#stuck:not([hidden])')")
    assert "finished somewhere else" in browser.text("#stuck")
    assert browser.do("return await page.isHidden('#recorder')"), "the microphone is let go"
    shot(browser, "record-stuck")
    path = str(tmp_path / "rescued.webm")
    browser.do(
        """
        const coming = page.waitForEvent("download");
        await page.click("#rescue");
        await (await coming).saveAs(path);
        """,
        path=path,
    )
    assert Path(path).read_bytes().startswith(b"\x1a\x45\xdf\xa3"), "WebM, as it was recorded"
    browser.do(
        "await page.click('#discard'); await page.click('#ask [data-yes]'); await page.waitForURL('**/review/*')"
    )
    assert kept_in(browser) == []
    browser.do("await page.goto(url)", url=f"{site.url}/scribe/")


def test_what_failed_says_why_and_is_tried_again(browser: Chromium, site: ScribeSite, tmp_path: Path) -> None:
    site.ear.refuses = True
    opened(browser, site)
    path = tmp_path / "visit.wav"
    path.write_bytes(tone(2))
    browser.do(
        """
        await page.click("#files summary");
        await page.setInputFiles("#audio", {name: "a.wav", mimeType: "audio/wav", buffer: Buffer.from("no sound")});
        await page.click("#audio-form button");
        await page.waitForSelector("#alert:not([hidden])");
        """
    )
    assert "no recording that we can read" in browser.text("#alert")
    browser.do(
        """
        await page.setInputFiles("#audio", path);
        await page.click("#audio-form button");
        await page.waitForURL("**/scribe/review/*");
        await page.waitForFunction(() => document.querySelector("#waiting").innerText.includes("failed"));
        """,
        path=str(path),
    )
    assert "there is no speech in the recording" in browser.text("#waiting")
    shot(browser, "failed")
    site.ear.refuses = False
    browser.do("await page.click('#retry'); await page.waitForSelector('.statement')")


def test_two_computers_record_the_same_encounter(browser: Chromium, site: ScribeSite) -> None:
    encounter = opened(browser, site)
    agent = Agent("ben", "person")
    browser.do(
        """
        await context.route("**/audio/*/*", async route => { await held.let; await route.continue(); });
        held.let = new Promise(resolve => { held.go = resolve; });
        await page.click("#start");
        await page.waitForFunction(() => document.querySelector("#clock").textContent === "0:06");
        """
    )
    site.desk.capture.add(agent, encounter, [(0, 0, tone(1))])
    browser.do(
        """
        held.go();
        await page.click("#finish");
        await page.waitForURL("**/scribe/review/*");
        await page.waitForSelector(".statement");
        """
    )
    assert {part.take for part in site.desk.capture.parts(encounter)} == {0, 1}


def test_a_paused_recording_goes_on(browser: Chromium, site: ScribeSite) -> None:
    encounter = opened(browser, site)
    browser.do(
        """
        await page.click("#start");
        await page.waitForFunction(() => document.querySelector("#clock").textContent === "0:01");
        await page.click("#pause");
        await page.waitForSelector("#lamp[data-state=paused]");
        """
    )
    eventually(lambda: site.desk.find(encounter).paused, "the hub knows of the pause")
    shot(browser, "record-paused")
    browser.do("await page.click('#pause'); await page.waitForSelector('#lamp[data-state=recording]')")
    eventually(lambda: not site.desk.find(encounter).paused, "the hub knows that it goes on")
    browser.do(
        """
        await page.click("#finish");
        await page.waitForURL("**/scribe/review/*");
        await page.waitForSelector(".statement");
        """
    )
    assert {part.take for part in site.desk.capture.parts(encounter)} == {0}


def test_a_withdrawn_consent_deletes_here_and_there(browser: Chromium, site: ScribeSite) -> None:
    encounter = opened(browser, site)
    browser.do(
        """
        await page.click("#start");
        await page.waitForFunction(() => document.querySelector("#clock").textContent === "0:02");
        await page.click("#given button");
        await page.click("#ask [data-yes]");
        await page.waitForSelector("#consent:not([hidden])");
        """
    )
    assert site.desk.find(encounter).consent is None
    assert site.desk.capture.parts(encounter) == []
    shot(browser, "consent")
    assert kept_in(browser) == []
    browser.do("await page.goto(url)", url=f"{site.url}/scribe/")
    assert "Record the consent" in browser.text(".encounters")


@pytest.mark.parametrize(("width", "scheme"), [(800, "light"), (1280, "dark")])
def test_the_page_fits(browser: Chromium, site: ScribeSite, tmp_path: Path, width: int, scheme: str) -> None:
    browser.open(viewport={"width": width, "height": 800}, colorScheme=scheme)
    drafted(browser, site, tmp_path)
    browser.do("await page.focus('#statement-s2')")
    shot(browser, f"review-{width}-{scheme}")
    wider = (
        "return await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)"
    )
    assert browser.do(wider) <= 0
    unnamed = browser.do(
        """
        return await page.evaluate(() => [...document.querySelectorAll("button, input, select, textarea, a")]
          .filter(one => !one.hidden && !one.getAttribute("aria-label"))
          .filter(one => !one.labels?.length && !one.textContent.trim())
          .map(one => one.outerHTML));
        """
    )
    assert unnamed == []
