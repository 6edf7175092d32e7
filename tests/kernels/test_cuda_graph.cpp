// Launches recorded as a CUDA graph, on the emulated machine, which keeps them and sends them
// again.
#include <cuda_runtime.h>

#include "experiments/precision.hpp"
#include "experiments/program.hpp"
#include "kernels/cuda/memory.hpp"
#include "kernels/elementwise.hpp"
#include "kernels/launch_graph.hpp"
#include "tests/kernels/cuda_device.hpp"
#include "tests/kernels/matmul_cases.hpp"

namespace metascale {
namespace {

using namespace testing;

// y += x, twice as long as a block is.
struct Sum {
  static constexpr std::int64_t count = 512;
  CudaQueue queue = gpu_of_tests().queue();
  cuda::DeviceMemory x_memory{cuda::allocate(count * sizeof(float))};
  cuda::DeviceMemory y_memory{cuda::allocate(count * sizeof(float))};
  Accumulate op{.dx = of(y_memory), .dy = of(x_memory)};

  static Tensor of(const cuda::DeviceMemory& memory) {
    return {.data = memory.get(), .shape = {count}, .dtype = Dtype::f32};
  }
  Sum() {
    const std::vector<float> ones(count, 1.0f);
    cuda::copy_to_device(x_memory.get(), ones.data(), count * sizeof(float), queue.stream);
    cuda::clear(y_memory.get(), count * sizeof(float), queue.stream);
  }
  std::vector<float> result() const {
    std::vector<float> values(count);
    cuda::copy_to_host(values.data(), y_memory.get(), count * sizeof(float), queue.stream);
    return values;
  }
};

int graph_launches() { return cuda_emulator::machine().graph_launches; }

}  // namespace

TEST_CASE("work is sent as it is, then recorded, then replayed, each time once") {
  Sum sum;
  LaunchGraph graph;
  int recorded = 0;
  const int launches = graph_launches();
  for (int run = 1; run <= 4; ++run) {
    graph.run(sum.queue, [&] {
      ++recorded;
      sum.op.on(sum.queue);
    });
    CHECK(sum.result() == std::vector<float>(Sum::count, float(run)));
    CHECK(graph.is_recorded() == (run > 1));
  }
  CHECK(recorded == 2);
  CHECK(graph_launches() == launches + 3);
}

TEST_CASE(
    "a replayed product has the bits of one that is sent, and reads what its operands then hold") {
  const auto on_device = [](const Tensor& tensor) {
    Tensor result = tensor;
    result.data = cuda::allocate(tensor.bytes());
    return result;
  };
  const MatmulCase item(Dtype::f32, {33, 17, 41}, false, true);
  CudaQueue queue = gpu_of_tests().queue();
  Matmul op = item.forward;
  std::vector<cuda::DeviceMemory> memory;
  for (Tensor* operand : {&op.c, &op.a, &op.b}) {
    *operand = on_device(*operand);
    memory.emplace_back(static_cast<std::byte*>(operand->data));
  }
  LaunchGraph graph;
  for (unsigned run = 0; run < 3; ++run) {
    assign(item.forward.a, random_values(item.forward.a.size(), run));
    for (const auto& [device, host] :
         {std::pair{op.a, item.forward.a}, std::pair{op.b, item.forward.b}})
      cuda::copy_to_device(static_cast<std::byte*>(device.data), host.data, host.bytes(),
                           queue.stream);
    graph.run(queue, [&] { op.on(queue); });
    MatmulCase sent(Dtype::f32, {33, 17, 41}, false, true);
    assign(sent.forward.a, values_of(item.forward.a));
    run_on(Device::cuda, sent.forward);
    cuda::copy_to_host(item.forward.c.data, memory[0].get(), op.c.bytes(), queue.stream);
    CHECK(same_bits(item.forward.c, sent.forward.c));
  }
}

TEST_CASE("a program with a CUDA graph is replayed after its first execution, with equal bits") {
  const auto losses_of = [](bool cuda_graph) {
    const ModelConfig model{.architecture = Architecture::meta_state,
                            .layers = 1,
                            .width = 32,
                            .vocabulary = 67,
                            .head_size = 16,
                            .feed_forward = 32};
    ParameterList list;
    const TapeOptions tape = tape_options({.precision = Precision::bf16}, Device::cuda, true);
    Program program(model, {.rows = 1, .context = 9, .tape = tape, .cuda_graph = cuda_graph}, list);
    ParameterMemory host(list, Device::cpu, tape.dtype),
        memory(list, Device::cuda, tape.dtype, true);
    initialise(list, host, 7);
    Queue queue{.device = Device::cuda, .cuda = gpu_of_tests().queue()};
    copy_to_device(queue, memory.values.data(), host.values.data(), host.values.bytes());
    memory.round_copies(queue);
    program.allocate(Device::cuda, memory);
    Values losses;
    for (int execution = 0; execution < 4; ++execution) {
      for (std::int64_t i = 0; i < 9; ++i) {
        program.tokens()[i] = std::int32_t((i + execution) * 7 % 67);
        program.targets()[i] = std::int32_t((i + execution + 1) * 7 % 67);
        program.set_scale(i, 1.0 / 9);
      }
      program.execute(queue);
      for (std::int64_t i = 0; i < 9; ++i) losses.push_back(program.loss(i));
    }
    copy_to_host(queue, host.gradients.data(), memory.gradients.data(), host.gradients.bytes());
    const Values gradients = values_of(host.whole(host.gradients));
    losses.insert(losses.end(), gradients.begin(), gradients.end());
    return losses;
  };
  const int launches = graph_launches();
  const Values sent = losses_of(false);
  CHECK(graph_launches() == launches);
  CHECK(losses_of(true) == sent);
  CHECK(graph_launches() == launches + 3);
}

TEST_CASE("work that waits or allocates cannot be recorded, and the stream is left as it was") {
  Sum sum;
  CHECK_THROWS_WITH(cuda::captured(sum.queue, [&] { cuda::finish(sum.queue.stream); }),
                    Catch::Contains("not permitted when stream is capturing"));
  CHECK_THROWS_WITH(cuda::captured(sum.queue, [&] { cuda::DeviceMemory(cuda::allocate(8)); }),
                    Catch::Contains("not permitted when stream is capturing"));
  CHECK_THROWS_WITH(cuda::captured(CudaQueue{}, [] {}),
                    Catch::StartsWith("the launches of a step were not recorded as a CUDA graph"));
  sum.op.on(sum.queue);
  CHECK(sum.result() == std::vector<float>(Sum::count, 1.0f));
}

}  // namespace metascale
