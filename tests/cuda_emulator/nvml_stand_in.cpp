// A libnvidia-ml for tests, opened as kernels/cuda/energy.cpp opens NVIDIA's: one GPU, which has
// used a joule more whenever it is asked.
#include <cstring>

namespace {
constexpr int success = 0, not_found = 6;
unsigned long long counted = 41500;  // mJ
}  // namespace

extern "C" {

int nvmlInit_v2() { return success; }
int nvmlShutdown() { return success; }

int nvmlDeviceGetHandleByPciBusId_v2(const char* bus, void** device) {
  *device = &counted;
  return std::strcmp(bus, "0000:00:00.0") == 0 ? success : not_found;
}

int nvmlDeviceGetTotalEnergyConsumption(void* device, unsigned long long* millijoules) {
  *millijoules = *static_cast<unsigned long long*>(device) += 1000;
  return success;
}
}
