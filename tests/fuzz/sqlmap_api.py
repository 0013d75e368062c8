"""Sqlmap (level 2, risk 2) against what a client can put into a query: search parameters of each type, and the forms.

    PYTHONPATH=tests:tests/fuzz python tests/fuzz/sqlmap_api.py --sqlmap PATH/TO/sqlmap

The last line is one JSON document: by target what sqlmap says of its parameters, how many requests it sent, and the
faults as ``fuzz_fhir_api.py`` knows them.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from fuzz_fhir_api import DATABASES, SECRET, Hub, report, running

SAFE: Final = "all tested parameters do not appear to be injectable"
_UNSAFE: Final = re.compile(
    r"identified the following injection|parameter '[^']*' is vulnerable|appears to be '.*inject"
)


def targets(hub: Hub) -> dict[str, list[str]]:
    """Return the options of each target."""
    fhir, token = f"{hub.url}/fhir/R4", ["-H", f"Authorization: Bearer {hub.token}"]
    oauth, app = f"{hub.url}/oauth", f"client_id={hub.app}"
    hook = (
        '{"hook":"patient-view","hookInstance":"0b6b6d4e-9b8c-4e52-8b5f-1f0cf2a90b10",'
        '"context":{"userId":"Practitioner/ann","patientId":"P1*","encounterId":"E1*"}}'
    )
    code = "grant_type=authorization_code&code=abc&redirect_uri=http://127.0.0.1:9/app/callback&code_verifier="
    searches = {
        "token": "Observation?code=718-7&status=final",
        "reference": "Observation?patient=P1&_id=o1",
        "date": "Observation?date=ge2020-01-01&_lastUpdated=gt2020",
        "string": "Patient?name=Amber&family:exact=Amber",
        "number and paging": "RiskAssessment?probability=0.5&_sort=-date&_count=5",
        "quantity and composite": "Observation?value-quantity=gt5&code-value-quantity=718-7%24gt5",
        "uri and cursor": "Subscription?url=http%3A%2F%2Femr.example%2Fa&_cursor=AAAA&_elements=id",
        "chain, has and include": "Observation?patient.name=Amber&_has:Provenance:target:_id=a"
        "&_include=Observation:patient",
        "path": "Patient/P1*/_history/1*",
        "audit": "AuditEvent?patient=Patient/P1&agent-name=ann&date=gt2020",
    }
    found = {name: ["-u", f"{fhir}/{query}", *token] for name, query in searches.items()}
    found["posted search"] = ["-u", f"{fhir}/Patient/_search", "--data", "name=Amber&identifier=M-P1", *token]
    found["client credentials"] = [
        *("-u", f"{oauth}/token", "-p", "grant_type,scope,client_id"),
        *("--data", f"grant_type=client_credentials&client_id={hub.client}&client_secret={SECRET}&scope=system/*.rs"),
    ]
    found["code"] = ["-u", f"{oauth}/token", "--data", f"{code}{'a' * 43}&{app}"]
    found["refresh token"] = ["-u", f"{oauth}/token", "--data", f"grant_type=refresh_token&refresh_token=abc&{app}"]
    found["introspection"] = [
        *("-u", f"{oauth}/introspect", "-p", "token"),
        *("--data", f"client_id={hub.client}&client_secret={SECRET}&token=abc"),
    ]
    found["authorize"] = ["-u", f"{oauth}/authorize?{app}&launch=abc&state=s&response_type=code&scope=openid"]
    found["sign-in"] = [
        *("-u", f"{oauth}/sign-in", "--cookie", hub.cookie, "-p", "username,password,return_to"),
        *("--data", f"csrf={hub.csrf}&username=ann&password=a&return_to=/account"),
    ]
    found["CDS hook"] = [
        *("-u", f"{hub.url}/cds-services/osler-patient-view", *token),
        *("-H", "Content-Type: application/json", "--data", hook),
    ]
    return found


def verdict(sqlmap: str, options: list[str], folder: Path) -> str:
    """Run it once and return what it says."""
    settled = ["--batch", "--level", "2", "--risk", "2", "--flush-session", "--disable-coloring", "--ignore-code", "*"]
    settled += ["--output-dir", str(folder / "sqlmap"), "--threads", "3", "--time-sec", "3"]
    done = subprocess.run(
        [sqlmap, *settled, *options], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if _UNSAFE.search(done.stdout):
        return "injectable"
    return "not injectable" if SAFE in done.stdout else "not tested"


def main() -> int:
    """Run against each target, and print what was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sqlmap", default="sqlmap")
    parser.add_argument("--database", choices=DATABASES, default="sqlite")
    given = parser.parse_args()
    said = {}
    with running(given.database) as (hub, folder):
        for name, options in targets(hub).items():
            said[name] = verdict(given.sqlmap, options, folder)
            sys.stderr.write(f"{name}: {said[name]}\n")
    return report(hub.watch, {"verdicts": said}) or set(said.values()) != {"not injectable"}


if __name__ == "__main__":
    sys.exit(main())
