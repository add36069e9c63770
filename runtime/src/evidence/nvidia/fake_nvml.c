/* NVIDIA's management library, imitated for tests: the calls that Strongroom makes, with the
 * structures and codes of the real one.
 *
 * How it behaves stands in the file `control` beside it, read at each call: lines of a key and
 * a number, where `key.N` is of device N and `key` of all. So each copy of the library is a
 * machine of its own, and a test can change one between two calls. Reports and certificates
 * are the files `report.bin` and `chain.pem` beside it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SUCCESS = 0,
    UNINITIALIZED = 1,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    INSUFFICIENT_SIZE = 7,
    VERSION_MISMATCH = 25,
    UNKNOWN = 999,
};

enum { TEXT = 96, REPORT = 8192, CHAIN = 5120, NONCE_AT = 4, NONCE = 32 };

struct pci {
    char legacy[16];
    unsigned domain, bus, device, device_id, subsystem_id;
    char bus_id[32];
};

struct state {
    unsigned environment, feature, developer_tools;
};

struct settings {
    unsigned version, environment, feature, developer_tools, multi_gpu;
};

struct certificate {
    unsigned chain_size, attestation_chain_size;
    unsigned char chain[4096], attestation_chain[CHAIN];
};

struct report {
    unsigned cec_present, size, cec_size;
    unsigned char nonce[NONCE], bytes[REPORT], cec[4096];
};

static unsigned initialised;
static unsigned ready;

/* A file in the folder of this very copy. */
static FILE *beside(const char *name) {
    Dl_info self;
    char path[4096];
    if (!dladdr((void *)beside, &self)) return NULL;
    const char *end = strrchr(self.dli_fname, '/');
    if (!end) return NULL;
    snprintf(path, sizeof path, "%.*s/%s", (int)(end - self.dli_fname), self.dli_fname, name);
    return fopen(path, "rb");
}

/* What `control` says of `key`; a line about the device goes before one about all. */
static unsigned control(const char *key, int device, unsigned otherwise) {
    char own[64], line[64];
    unsigned found = otherwise, value;
    int is_own = 0;
    snprintf(own, sizeof own, "%s.%d", key, device);
    FILE *file = beside("control");
    if (!file) return otherwise;
    while (fscanf(file, "%63s %u", line, &value) == 2) {
        if (!strcmp(line, own)) {
            found = value;
            is_own = 1;
        } else if (!strcmp(line, key) && !is_own) {
            found = value;
        }
    }
    fclose(file);
    return found;
}

/* The bytes of a file, at most `most`; how many there were. */
static unsigned contents(const char *name, unsigned char *into, unsigned most) {
    FILE *file = beside(name);
    if (!file) return 0;
    size_t read = fread(into, 1, most, file);
    fclose(file);
    return (unsigned)read;
}

/* Handles are the numbers from 1. */
static int number(const void *handle) {
    return (int)(uintptr_t)handle - 1;
}

/* What every call about a device checks first. */
static unsigned refused(const void *handle, const void *into) {
    if (!initialised) return UNINITIALIZED;
    int device = number(handle);
    if (device < 0 || (unsigned)device >= control("count", -1, 1) || !into) return INVALID_ARGUMENT;
    return control("device_code", device, SUCCESS);
}

unsigned nvmlInit_v2(void) {
    unsigned code = control("init_code", -1, SUCCESS);
    if (code == SUCCESS) initialised++;
    return code;
}

unsigned nvmlShutdown(void) {
    if (!initialised) return UNINITIALIZED;
    initialised--;
    return SUCCESS;
}

unsigned nvmlDeviceGetCount_v2(unsigned *count) {
    if (!initialised) return UNINITIALIZED;
    *count = control("count", -1, 1);
    return SUCCESS;
}

unsigned nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
    void *made = (void *)(uintptr_t)(index + 1);
    unsigned code = refused(made, handle);
    if (code == SUCCESS) *handle = made;
    return code;
}

unsigned nvmlDeviceGetName(void *handle, char *name, unsigned length) {
    unsigned code = refused(handle, name);
    if (code != SUCCESS) return code;
    if (length < TEXT) return INSUFFICIENT_SIZE;
    if (control("endless_name", number(handle), 0)) {
        memset(name, 'H', length);
    } else {
        snprintf(name, length, "NVIDIA H100 80GB HBM3");
    }
    return SUCCESS;
}

unsigned nvmlDeviceGetUUID(void *handle, char *uuid, unsigned length) {
    unsigned code = refused(handle, uuid);
    if (code != SUCCESS) return code;
    if (length < TEXT) return INSUFFICIENT_SIZE;
    int device = number(handle);
    snprintf(uuid, length, "GPU-00000000-0000-0000-0000-%012u", control("uuid", device, (unsigned)device));
    return SUCCESS;
}

unsigned nvmlDeviceGetPciInfo_v3(void *handle, struct pci *pci) {
    unsigned code = refused(handle, pci);
    if (code != SUCCESS) return code;
    int device = number(handle);
    memset(pci, 0, sizeof *pci);
    pci->bus = control("bus", device, 0x41u + (unsigned)device);
    pci->device_id = 0x233010de;
    snprintf(pci->legacy, sizeof pci->legacy, "%04X:%02X:%02X.0", pci->domain, pci->bus, pci->device);
    snprintf(pci->bus_id, sizeof pci->bus_id, "%08X:%02X:%02X.0", pci->domain, pci->bus, pci->device);
    return SUCCESS;
}

unsigned nvmlDeviceGetArchitecture(void *handle, unsigned *architecture) {
    unsigned code = refused(handle, architecture);
    if (code == SUCCESS) *architecture = control("architecture", number(handle), 9);
    return code;
}

unsigned nvmlSystemGetConfComputeState(struct state *state) {
    if (!initialised) return UNINITIALIZED;
    unsigned code = control("state_code", -1, SUCCESS);
    if (code != SUCCESS) return code;
    state->environment = control("environment", -1, 2);
    state->feature = control("feature", -1, 1);
    state->developer_tools = control("developer_tools", -1, 0);
    return SUCCESS;
}

unsigned nvmlSystemGetConfComputeSettings(struct settings *settings) {
    if (!initialised) return UNINITIALIZED;
    unsigned code = control("settings_code", -1, SUCCESS);
    if (code != SUCCESS) return code;
    if (settings->version != (sizeof *settings | 1u << 24)) return VERSION_MISMATCH;
    settings->environment = control("environment", -1, 2);
    settings->feature = control("feature", -1, 1);
    settings->developer_tools = control("developer_tools", -1, 0);
    settings->multi_gpu = control("multi_gpu", -1, 0);
    return SUCCESS;
}

unsigned nvmlSystemGetConfComputeGpusReadyState(unsigned *accepting) {
    if (!initialised) return UNINITIALIZED;
    *accepting = control("ready", -1, ready);
    return SUCCESS;
}

unsigned nvmlSystemSetConfComputeGpusReadyState(unsigned accepting) {
    if (!initialised) return UNINITIALIZED;
    if (!control("feature", -1, 1)) return NOT_SUPPORTED;
    unsigned code = control("ready_code", -1, SUCCESS);
    if (code == SUCCESS) ready = accepting;
    return code;
}

unsigned nvmlDeviceGetConfComputeGpuCertificate(void *handle, struct certificate *certificate) {
    unsigned code = refused(handle, certificate);
    if (code != SUCCESS) return code;
    int device = number(handle);
    code = control("chain_code", device, control("feature", -1, 1) ? SUCCESS : NOT_SUPPORTED);
    if (code != SUCCESS) return code;
    memset(certificate, control("chain_filler", device, 0) ? '\n' : 0, sizeof *certificate);
    certificate->chain_size = 0;
    unsigned size = contents("chain.pem", certificate->attestation_chain, CHAIN);
    if (!size) return UNKNOWN;
    certificate->attestation_chain_size = control("chain_size", device, size);
    return SUCCESS;
}

unsigned nvmlDeviceGetConfComputeGpuAttestationReport(void *handle, struct report *report) {
    unsigned code = refused(handle, report);
    if (code != SUCCESS) return code;
    int device = number(handle);
    code = control("report_code", device, control("feature", -1, 1) ? SUCCESS : NOT_SUPPORTED);
    if (code != SUCCESS) return code;
    unsigned size = contents("report.bin", report->bytes, REPORT);
    if (!size) return UNKNOWN;
    memcpy(report->bytes + NONCE_AT, report->nonce, NONCE);
    report->size = control("report_size", device, size);
    /* The other report, of boards with a controller of their own. Nobody reads it. */
    report->cec_present = control("cec_present", device, 0);
    report->cec_size = control("cec_size", device, 0);
    return SUCCESS;
}
