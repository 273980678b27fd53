/* NVIDIA's driver as far as leases use it: the libraries libcuda and libnvidia-ml of a machine with two GPUs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int started = 0;
static const char *uuids[] = {"GPU-aaaa-0000", "GPU-bbbb-1111"};

int cuInit(unsigned flags) { started = 1; return 0; }
int cuDeviceGetCount(int *count) { *count = 2; return started ? 0 : 3; }

int nvmlInitWithFlags(unsigned flags) { return 0; }
int nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(int code) { return "an error"; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) { *device = (void *)uuids[index]; return 0; }
int nvmlDeviceGetHandleByUUID(const char *uuid, void **device) {
    for (int each = 0; each < 2; each++)
        if (!strcmp(uuid, uuids[each])) { *device = (void *)uuids[each]; return 0; }
    return 6; /* NVML_ERROR_NOT_FOUND */
}
int nvmlDeviceGetUUID(void *device, char *text, unsigned size) { snprintf(text, size, "%s", (char *)device); return 0; }
int nvmlDeviceGetName(void *device, char *text, unsigned size) { snprintf(text, size, "Made-up 9000"); return 0; }
int nvmlDeviceGetMemoryInfo(void *device, unsigned long long *memory) { memory[0] = 1000; return 0; }
int nvmlDeviceGetUtilizationRates(void *device, unsigned *rates) {
    rates[0] = 40;
    return getenv("NO_UTILIZATION") ? 3 : 0; /* NVML_ERROR_NOT_SUPPORTED */
}

struct process { unsigned pid; unsigned long long memory; unsigned gpu, compute; };
int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *count, struct process *found) {
    unsigned room = *count;
    const char *other = getenv("ALSO_RUNNING");
    *count = other ? 3 : 2;
    if (room < *count) return 7; /* NVML_ERROR_INSUFFICIENT_SIZE */
    found[0] = (struct process){1, 900, 0, 0};
    found[1] = (struct process){(unsigned)getpid(), 123, 0, 0};
    if (other) found[2] = (struct process){(unsigned)atoi(other), 77, 0, 0};
    return 0;
}
