"""Times NVIDIA's own Python verifier (nv-local-gpu-verifier) on one report: its certificates, signature,
nonce, two manifests and all measurements. What it would ask a network for is left out, in its favour.

    nvidia-peer.py VECTORS ROUNDS    prints the median in milliseconds of processor time
"""

import datetime
import logging
import os
import statistics
import sys
import tempfile
import time

vectors, rounds = os.path.abspath(sys.argv[1]), int(sys.argv[2])
os.chdir(tempfile.mkdtemp())  # it writes a log where it is started
logging.disable(logging.CRITICAL)

from OpenSSL import crypto  # noqa: E402

# The captured manifests are past their dates: its clock is set to when they were good.
CAPTURED = datetime.datetime(2025, 8, 21, 12)
Context = crypto.X509StoreContext


class ContextOfThen(Context):
    def __init__(self, store, certificate, chain=None):
        store.set_time(CAPTURED)
        super().__init__(store, certificate, chain)


crypto.X509StoreContext = ContextOfThen

from verifier.attestation import AttestationReport  # noqa: E402
from verifier.cc_admin_utils import CcAdminUtils  # noqa: E402
from verifier.config import HopperSettings  # noqa: E402
from verifier.rim import RIM  # noqa: E402
from verifier.utils import format_vbios_version  # noqa: E402
from verifier.verifier import Verifier  # noqa: E402

CcAdminUtils.ocsp_certificate_chain_validation = staticmethod(lambda *_: (True, "", "good", None))


def read(*path):
    with open(os.path.join(vectors, *path), "rb") as file:
        return file.read()


report = read("nvidia", "001-h100", "report.bin")
chain = read("nvidia", "001-h100", "chain.pem").decode()
driver = read("nvidia-manifests", "NV_GPU_DRIVER_GH100_550.90.07.xml").decode()
vbios = read("nvidia-manifests", "NV_GPU_VBIOS_1010_0200_882_96009F0001.xml").decode()
pem = [block + "-----END CERTIFICATE-----\n" for block in chain.split("-----END CERTIFICATE-----")[:-1]]


def verify():
    settings = HopperSettings()
    certificates = [crypto.load_certificate(crypto.FILETYPE_PEM, block) for block in pem]
    parsed = AttestationReport(report, settings)
    opaque = parsed.get_response_message().get_opaque_data()
    fwid = opaque.get_data("OPAQUE_FIELD_ID_FWID").hex()
    assert CcAdminUtils.verify_gpu_certificate_chain(certificates, settings, fwid)[0]
    version = opaque.get_data("OPAQUE_FIELD_ID_VBIOS_VERSION")
    driver_version = opaque.get_data("OPAQUE_FIELD_ID_DRIVER_VERSION").decode().rstrip("\0")
    vbios_version = format_vbios_version(version)
    assert CcAdminUtils.verify_attestation_report(
        parsed, certificates[0], report[4:36], driver_version, vbios_version, settings
    )
    driver_rim = RIM(rim_name="driver", settings=settings, content=driver)
    assert driver_rim.verify(version=driver_version, settings=settings)[0]
    vbios_rim = RIM(rim_name="vbios", settings=settings, content=vbios)
    assert vbios_rim.verify(version=vbios_version.lower(), settings=settings)[0]
    assert Verifier(parsed, driver_rim, vbios_rim, settings=settings).verify(settings)


verify()
times = []
for _ in range(rounds):
    start = time.process_time()
    verify()
    times.append(time.process_time() - start)
print(f"{statistics.median(times) * 1000:9.2f} ms  nv-local-gpu-verifier, one GPU and two manifests, without OCSP")
