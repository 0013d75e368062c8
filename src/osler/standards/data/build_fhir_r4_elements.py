"""Derive ``fhir_r4_elements.json`` from the published definitions of HL7 FHIR R4 (4.0.1; CC0 1.0).

The sources are those of :mod:`osler.standards.data.build_fhir_r4`::

    python -m osler.standards.data.build_fhir_r4_elements package/dist/fhir/r4

For every resource type of R4, and every data type that one is made of, the table says of each element its type,
whether it must be there, and the codes that it is bound to. What de-identifies needs to know no more, and must know
all types; what validates reads the larger entries of ``fhir_r4.json``.
"""

import json
import sys
from pathlib import Path

from osler.standards.data import build_fhir_r4


def main(folder: Path) -> None:
    """Write the table beside this file."""
    definitions = build_fhir_r4.Definitions(folder)
    names = sorted(n for n, s in definitions.structures.items() if s["kind"] == "resource" and not s["abstract"])
    for name in names:
        definitions.add(name)
    document = {
        "source": "HL7 FHIR R4 4.0.1 (hl7.org/fhir/R4), CC0 1.0; derived by build_fhir_r4_elements.py",
        "resources": names,
        "primitives": sorted(definitions.primitives),
        "value_sets": {name: " ".join(codes) for name, codes in sorted(definitions.value_sets.items())},
        "types": {
            name: {
                key: " ".join((shape["type"], "1" if shape["min"] else "0", shape.get("codes", ""))).rstrip()
                for key, shape in elements.items()
            }
            for name, elements in sorted(definitions.types.items())
        },
    }
    target = Path(__file__).with_name("fhir_r4_elements.json")
    target.write_text(json.dumps(document, indent=0, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
