// The energy that a GPU has used, counted by NVML since the driver was loaded. NVML comes with the
// driver, so it is opened at run time; where it, the GPU or the counter is missing, so is the
// number.
#pragma once

#include <memory>
#include <optional>
#include <string>

namespace metascale::cuda {

class EnergyCounter {
 public:
  // pci_bus_id: of the GPU, as cudaDeviceGetPCIBusId writes it: NVML's own order of GPUs is
  // another.
  explicit EnergyCounter(const std::string& pci_bus_id, const char* library = "libnvidia-ml.so.1");
  ~EnergyCounter();
  EnergyCounter(const EnergyCounter&) = delete;
  EnergyCounter& operator=(const EnergyCounter&) = delete;

  std::optional<double> joules() const;
  const std::string& why_missing() const { return why_missing_; }  // "" where it counts

 private:
  struct Nvml;
  std::unique_ptr<Nvml> nvml_;
  std::string why_missing_;
};

}  // namespace metascale::cuda
