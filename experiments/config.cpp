#include "experiments/config.hpp"

#include "experiments/config_tables.hpp"

namespace metascale {

std::string final_split(const RunConfig& config) {
  const bool is_probe = config.data.probe.exists();
  if (is_probe ? config.role == Role::run : !config.data.test.empty()) return "test";
  return is_probe || !config.data.validation.empty() ? "validation" : "";
}

const char* name_of(Architecture architecture) { return name_in(architecture_names, architecture); }
const char* name_of(ReadOut read_out) { return name_in(read_out_names, read_out); }
const char* name_of(ReadState read_state) { return name_in(read_state_names, read_state); }
const char* name_of(ScheduleKind kind) { return name_in(schedule_kind_names, kind); }
const char* name_of(Precision precision) { return name_in(precision_names, precision); }
const char* name_of(Recompute recompute) { return name_in(recompute_names, recompute); }
const char* name_of(WkvForm form) { return name_in(wkv_form_names, form); }
const char* name_of(LowRankForm form) { return name_in(low_rank_form_names, form); }
const char* name_of(NonFinite policy) { return name_in(non_finite_names, policy); }
const char* name_of(OnSpike action) { return name_in(on_spike_names, action); }
const char* name_of(Role role) { return name_in(role_names, role); }

}  // namespace metascale
