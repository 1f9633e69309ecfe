"""Methods around the models of anomalib, with kdzoo's teachers; the extra ``kdzoo[anomalib]`` brings what they need."""

from kdzoo.methods.registry import MethodEntry
from kdzoo_anomalib.patchcore.config import PatchCoreConfig
from kdzoo_anomalib.stfpm.config import STFPMConfig

_NEEDS = ("anomalib",)
_INSTALL = "kdzoo[anomalib]"

PATCHCORE = MethodEntry(
    name="patchcore",
    title="PatchCore (CVPR 2022), around anomalib's",
    config=PatchCoreConfig,
    model="kdzoo_anomalib.patchcore.model:PatchCore",
    space="kdzoo_anomalib:patchcore/space.yaml",
    needs=_NEEDS,
    install=_INSTALL,
)

STFPM = MethodEntry(
    name="stfpm",
    title="Student-Teacher Feature Pyramid Matching (BMVC 2021), around anomalib's",
    config=STFPMConfig,
    model="kdzoo_anomalib.stfpm.model:STFPM",
    space="kdzoo_anomalib:stfpm/space.yaml",
    needs=_NEEDS,
    install=_INSTALL,
)
