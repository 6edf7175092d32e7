// What a GPU has no room for is refused while the sweep is planned.
#include "sweeps/gpu_memory.hpp"
#include "sweeps/hours.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/sweeps/definitions.hpp"

using namespace metascale;
using testing::TemporaryFolder;

namespace {

Resolution on_gpus(const std::string& resources) {
  return small_resolution(
      {"device=cuda", "training.micro_batch=4", "resources={default: " + resources + "}"});
}

std::string refusal(const Resolution& resolution, std::size_t here_bytes) {
  const TemporaryFolder folder;
  const Ledger ledger(folder.path() / "none");
  return refusal_of([&] { refuse_above_memory(resolution, ledger, here_bytes); });
}

}  // namespace

TEST_CASE("gpu memory: the exact bytes fit, one less is refused with the run and the way out") {
  const Resolution resolution = on_gpus("{gpus: 1}");
  std::size_t most = 0;
  for (const PlannedRun& run : resolution.runs)
    most = std::max(most, planned_step(run).device_bytes());
  CHECK(refusal(resolution, most) == "accepted");
  CHECK_THAT(refusal(resolution, most - 1), Catch::StartsWith("meta_state-") &&
                                                Catch::Contains("training.micro_batch: 4 takes") &&
                                                Catch::EndsWith("fits"));
}

TEST_CASE("gpu memory: what the sweep says of its GPUs counts, not the GPU at hand") {
  CHECK(refusal(on_gpus("{gpus: 1, gpu_memory: 80 GiB}"), 1) == "accepted");
  CHECK_THAT(refusal(on_gpus("{gpus: 1, gpu_memory: 1 MiB}"), std::size_t(1) << 40),
             Catch::Contains("its GPU (resources.gpu_memory) has 1 MiB"));
}

TEST_CASE("gpu memory: runs that share a GPU have their part of it") {
  const std::size_t bytes = planned_step(on_gpus("{gpus: 1}").runs.back()).device_bytes();
  CHECK(refusal(on_gpus("{gpus: 1, runs_per_gpu: 2}"), 2 * bytes + 2) == "accepted");
  CHECK(refusal(on_gpus("{gpus: 1, runs_per_gpu: 3}"), 2 * bytes + 2) != "accepted");
}

TEST_CASE("gpu memory: the moments of several GPUs are shared between them") {
  const PlannedRun one = on_gpus("{gpus: 1}").runs.front(),
                   two = on_gpus("{gpus: 2, ranks: 2}").runs.front();
  CHECK(planned_ranks(one) == 1);
  CHECK(planned_ranks(two) == 2);
  CHECK(planned_step(two).parameter_bytes < planned_step(one).parameter_bytes);
}

TEST_CASE("gpu memory: a run with joined first factors is of another shape, and needs less") {
  const PlannedRun separate =
      small_resolution({"device=cuda", "training.micro_batch=4"}).runs.back();
  const PlannedRun joined =
      small_resolution({"device=cuda", "training.micro_batch=4", "training.low_rank=joined"})
          .runs.back();
  CHECK(shape_of(joined.config) != shape_of(separate.config));
  CHECK(planned_step(joined).bytes() < planned_step(separate).bytes());
}

TEST_CASE("gpu memory: a micro-batch left to us makes at most 32,768 tokens, and fits") {
  const auto micro_batch = [](const std::string& resources) {
    return small_resolution({"device=cuda", "training.batch_tokens=262144", "training.context=512",
                             "axes.length=[10M tokens]", "resources={default: " + resources + "}"})
        .runs.back()
        .config.training.micro_batch;
  };
  CHECK(micro_batch("{gpus: 1}") == 64);
  CHECK(micro_batch("{gpus: 1, gpu_memory: 80 GiB}") == 64);
  CHECK(micro_batch("{gpus: 16}") == 32);  // each its share
  const std::int64_t fitting = micro_batch("{gpus: 1, gpu_memory: 1600 MiB}");
  CHECK(fitting > 1);
  CHECK(fitting < 64);
  CHECK(micro_batch("{gpus: 1, gpu_memory: 1600 MiB, runs_per_gpu: 2}") < fitting);
  CHECK(micro_batch("{gpus: 1, gpu_memory: 1 MiB}") == 1);
}

TEST_CASE("gpu memory: a micro-batch left to us leaves no rank idle where that can be") {
  const auto micro_batch = [](const char* windows_of_512, const char* gpus) {
    return small_resolution({"device=cuda", windows_of_512, "training.context=512",
                             "axes.length=[10M tokens]",
                             std::string("resources={default: {gpus: ") + gpus + "}}"})
        .runs.back()
        .config.training.micro_batch;
  };
  CHECK(micro_batch("training.batch_tokens=98304", "8") == 24);  // 192 windows: each rank one part
  CHECK(micro_batch("training.batch_tokens=122880", "8") == 30);
  CHECK(micro_batch("training.batch_tokens=124928", "8") ==
        4);  // 244: 61 parts, as even as it gets
}

TEST_CASE("gpu memory: what is not known, and runs on CPUs, are not refused") {
  CHECK(refusal(on_gpus("{gpus: 1}"), 0) == "accepted");
  CHECK(refusal(small_resolution(), 1) == "accepted");
}
