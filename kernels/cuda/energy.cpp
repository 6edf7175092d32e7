// Declarations of the few NVML functions used here, as its API documents them: its header is not
// part of every CUDA toolkit.
#include "kernels/cuda/energy.hpp"

#include <dlfcn.h>

namespace metascale::cuda {
namespace {

using Device = struct nvmlDevice_st*;
constexpr int success = 0;

struct CloseLibrary {
  void operator()(void* library) const noexcept { dlclose(library); }
};

}  // namespace

struct EnergyCounter::Nvml {
  std::unique_ptr<void, CloseLibrary> library;
  int (*initialise)() = nullptr;
  int (*shut_down)() = nullptr;
  int (*device_of_bus)(const char*, Device*) = nullptr;
  int (*millijoules)(Device, unsigned long long*) = nullptr;
  Device device = nullptr;
  bool is_initialised = false;

  ~Nvml() {
    if (is_initialised) shut_down();
  }

  template <typename Function>
  bool find(Function& function, const char* name) {
    function = reinterpret_cast<Function>(dlsym(library.get(), name));
    return function != nullptr;
  }

  // What is missing; "" where the counter answers.
  std::string open(const char* name, const std::string& pci_bus_id) {
    library.reset(dlopen(name, RTLD_NOW | RTLD_LOCAL));
    if (!library) return std::string(name) + " was not found";
    if (!find(initialise, "nvmlInit_v2") || !find(shut_down, "nvmlShutdown") ||
        !find(device_of_bus, "nvmlDeviceGetHandleByPciBusId_v2") ||
        !find(millijoules, "nvmlDeviceGetTotalEnergyConsumption"))
      return std::string(name) + " does not count energy";
    is_initialised = initialise() == success;
    if (!is_initialised) return "NVML did not start";
    if (device_of_bus(pci_bus_id.c_str(), &device) != success)
      return "NVML does not know the GPU " + pci_bus_id;
    unsigned long long first = 0;
    return millijoules(device, &first) == success ? "" : "the GPU does not count its energy";
  }
};

EnergyCounter::EnergyCounter(const std::string& pci_bus_id, const char* library)
    : nvml_(std::make_unique<Nvml>()) {
  why_missing_ = nvml_->open(library, pci_bus_id);
}

EnergyCounter::~EnergyCounter() = default;

std::optional<double> EnergyCounter::joules() const {
  unsigned long long count = 0;
  if (!why_missing_.empty() || nvml_->millijoules(nvml_->device, &count) != success)
    return std::nullopt;
  return double(count) / 1000;
}

}  // namespace metascale::cuda
