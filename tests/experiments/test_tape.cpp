#include <malloc.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <random>

#include "experiments/layers/basic.hpp"
#include "experiments/program.hpp"
#include "kernels/instructions.hpp"
#include "tests/experiments/allocations.hpp"
#include "tests/experiments/small_model.hpp"

namespace metascale {
namespace {

using testing::any_architecture, testing::small_model;

// ---- random graphs of operators that know what they must find

// out = value; a and b must hold what was written to them.
struct Stamp {
  Tensor out, a, b, scratch;
  float value = 0, expected_a = 0, expected_b = 0;
  int* faults = nullptr;

  void check() const {}
  Cost cost() const { return {}; }
  static void operands(auto& op, auto&& visit) {
    visit("out", op.out, Use::write);
    visit("a", op.a, Use::read);
    visit("b", op.b, Use::read);
    visit("scratch", op.scratch, Use::scratch);
  }
  void on(CudaQueue&) const { throw Error("an operator of a test"); }
  void on(CpuQueue&) const {
    expect(a, expected_a);
    expect(b, expected_b);
    fill(scratch, NAN);
    fill(out, value);
    expect(a, expected_a);  // no operand lies upon another
    expect(b, expected_b);
  }
  void expect(const Tensor& tensor, float wanted) const {
    for (std::int64_t i = 0; i < tensor.size(); ++i)
      *faults += tensor.pointer<float>()[i] != wanted;
  }
  static void fill(const Tensor& tensor, float with) {
    std::fill_n(tensor.pointer<float>(), tensor.size(), with);
  }
};

// dx += dy, of their first elements: what flows through the graph counts its paths.
// x must still hold what the forward wrote.
struct CountPaths {
  Tensor dx, dy, x;
  float expected_x = 0;
  int* faults = nullptr;

  void check() const {}
  Cost cost() const { return {}; }
  static void operands(auto& op, auto&& visit) {
    visit("dx", op.dx, Use::add);
    visit("dy", op.dy, Use::read);
    visit("x", op.x, Use::read);
  }
  void on(CudaQueue&) const { throw Error("an operator of a test"); }
  void on(CpuQueue&) const {
    const float flow = dy.pointer<float>()[0];
    for (std::int64_t i = 0; i < dx.size(); ++i) accumulate(dx.pointer<float>()[i], flow, dx.fresh);
    for (std::int64_t i = 0; i < x.size(); ++i) *faults += x.pointer<float>()[i] != expected_x;
  }
};

class RandomGraph {
 public:
  RandomGraph(unsigned seed, int nodes) : random_(seed), tape_({}, list_) {
    for (int node = 0; node < nodes; ++node) add_node(node);
    seed_last_gradient(nodes - 1);
    tape_.keep(tape_.gradient(nodes_[0]));
    tape_.finish();
    memory_.resize(tape_.planned_bytes() / sizeof(float) + 16, NAN);
    tape_.bind_memory(reinterpret_cast<std::byte*>(memory_.data()));
  }

  int faults_of_an_execution() {
    Queue queue;
    faults_ = 0;
    tape_.execute(queue);
    return faults_;
  }
  float paths_counted() const {
    return static_cast<const float*>(tape_.address(gradient_of_first_))[0];
  }
  double paths_expected() const {  // from the first node to the last
    std::vector<double> paths(nodes_.size(), 0);
    paths.back() = 1;
    for (std::size_t node = nodes_.size(); node-- > 1;)
      for (const int input : inputs_[node]) paths[std::size_t(input)] += paths[node];
    return paths[0];
  }
  std::size_t planned_bytes() const { return tape_.planned_bytes(); }
  std::size_t bytes_of_all() const { return bytes_of_all_; }

 private:
  Tensor buffer() {
    const Tensor made = tape_.activation({1 + std::int64_t(random_() % 100)});
    bytes_of_all_ += 2 * made.bytes();  // its gradient too
    return made;
  }
  static float value_of(int node) { return float(node + 1); }

  void add_node(int node) {
    std::vector<int> inputs;
    if (node > 0) inputs = {node - 1};  // so that every node lies on a path
    if (node > 1) inputs.push_back(int(random_() % unsigned(node)));
    Stamp stamp{.out = buffer(), .value = value_of(node), .faults = &faults_};
    if (!inputs.empty())
      stamp.a = nodes_[std::size_t(inputs[0])], stamp.expected_a = value_of(inputs[0]);
    if (inputs.size() > 1)
      stamp.b = nodes_[std::size_t(inputs[1])], stamp.expected_b = value_of(inputs[1]);
    if (random_() % 3 == 0) stamp.scratch = tape_.scratch({50}, Dtype::f32);
    tape_.run(stamp);
    nodes_.push_back(stamp.out);
    inputs_.push_back(inputs);
    tape_.on_backward([this, node, inputs] {
      for (const int input : inputs) pass_back(node, input);
    });
  }
  void pass_back(int from, int to) {
    const Tensor dx = tape_.gradient(nodes_[std::size_t(to)]);
    if (to == 0) gradient_of_first_ = dx;
    tape_.run(CountPaths{.dx = dx,
                         .dy = tape_.gradient(nodes_[std::size_t(from)]),
                         .x = nodes_[std::size_t(to)],
                         .expected_x = value_of(to),
                         .faults = &faults_});
  }
  void seed_last_gradient(int last) {
    tape_.on_backward([this, last] {
      tape_.run(
          Stamp{.out = tape_.gradient(nodes_[std::size_t(last)]), .value = 1, .faults = &faults_});
    });
  }

  std::mt19937 random_;
  ParameterList list_;
  Tape tape_;
  std::vector<Tensor> nodes_;
  std::vector<std::vector<int>> inputs_;
  Tensor gradient_of_first_;
  std::vector<float> memory_;
  std::size_t bytes_of_all_ = 0;
  int faults_ = 0;
};

TEST_CASE("on random graphs every value stands until its last reader, and gradients add up") {
  const unsigned seed = GENERATE(range(1u, 41u));
  CAPTURE(seed);
  RandomGraph graph(seed, 3 + int(seed % 12));
  CHECK(graph.faults_of_an_execution() == 0);
  CHECK(double(graph.paths_counted()) == graph.paths_expected());
  CHECK(graph.faults_of_an_execution() == 0);  // in the memory that the first one left
  CHECK(double(graph.paths_counted()) == graph.paths_expected());
}

TEST_CASE("buffers whose lives do not meet share memory") {
  const RandomGraph graph(1, 40);
  CHECK(graph.planned_bytes() < graph.bytes_of_all() * 3 / 4);
}

// ---- what a tape refuses

std::string refusal(const std::function<void(Tape&)>& record) {
  ParameterList list;
  Tape tape({}, list);
  try {
    record(tape);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST_CASE("a buffer that is read before it is written is named with its operator") {
  const std::string message = refusal([](Tape& tape) {
    tape.run(Stamp{.out = tape.activation({4}), .a = tape.activation({4})});
    tape.finish();
  });
  CHECK_THAT(message, Catch::Contains("Stamp") && Catch::Contains(".a is read before"));
}

TEST_CASE("finish may be called once") {
  CHECK_THAT(refusal([](Tape& tape) { tape.finish(), tape.finish(); }), Catch::Contains("twice"));
}

TEST_CASE("an input has no gradient") {
  CHECK_THAT(refusal([](Tape& tape) {
               tape.gradient(tape.input("tokens", {2, 3}, Dtype::i32));
             }),
             Catch::Contains("inputs have none"));
}

TEST_CASE("only inputs and carried state are bound by the caller") {
  CHECK_THAT(refusal([](Tape& tape) {
               float place[4];
               tape.bind(tape.activation({4}), place);
             }),
             Catch::Contains("inputs and carried state"));
}

TEST_CASE("a carried state is declared once") {
  CHECK_THAT(refusal([](Tape& tape) { tape.carried("s", {1}), tape.carried("s", {1}); }),
             Catch::Contains("'s' was declared twice"));
}

// ---- models

struct ReadyProgram {
  ParameterList list;
  Program program;
  ParameterMemory memory;
  Queue queue;

  ReadyProgram(Architecture architecture, const TapeOptions& tape)
      : program(small_model(architecture), {.rows = 2, .context = 24, .tape = tape}, list),
        memory(list, Device::cpu, tape.dtype) {
    initialise(list, memory, 7);
    program.allocate(Device::cpu, memory);
    testing::fill_inputs(program);
  }
  std::vector<double> losses() const { return testing::losses_of(program); }
};

TEST_CASE("a gradient is the sum over two readers of one tensor") {
  ParameterList list;
  Tape tape({.dtype = Dtype::f64}, list);
  const auto weight = [&](const char* name, std::int64_t rows) {
    return tape.parameter({.name = name, .shape = {rows, 3}, .initial = Initial::normal(1)});
  };
  const Tensor tokens = tape.input("tokens", {1, 4}, Dtype::i32);
  const Tensor targets = tape.input("targets", {1, 4}, Dtype::i32);
  const Tensor scales = tape.input("scales", {1, 4}, Dtype::f64);
  const Tensor x = embed(tape, tokens, weight("embedding", 5));
  const Tensor sum =
      add(tape, linear(tape, x, weight("first", 3)), linear(tape, x, weight("second", 3)));
  const Tensor losses = classifier(tape, sum, weight("head", 5), targets, scales);
  tape.finish();

  ParameterMemory memory(list, Device::cpu, Dtype::f64);
  initialise(list, memory, 3);
  const Buffer planned(Device::cpu, tape.planned_bytes());
  tape.bind_memory(planned.data());
  tape.bind_parameters(memory.values.data(), memory.gradients.data());
  std::int32_t ids[] = {0, 3, 1, 3}, next[] = {3, 1, 3, 2};
  double scale[] = {0.5, 1, 0.25, 2};
  tape.bind(tokens, ids), tape.bind(targets, next), tape.bind(scales, scale);
  Queue queue;
  const auto loss = [&] {
    tape.execute(queue);
    double total = 0;
    for (int i = 0; i < 4; ++i) total += scale[i] * static_cast<double*>(tape.address(losses))[i];
    return total;
  };
  loss();
  const Tensor embedding = memory.tensor(memory.values, list.find("embedding"));
  const Tensor gradient = memory.tensor(memory.gradients, list.find("embedding"));
  for (int element = 0; element < 15; ++element) {
    std::memset(memory.gradients.data(), 0, memory.gradients.bytes());
    loss();
    const double found = gradient.pointer<double>()[element];
    double& value = embedding.pointer<double>()[element];
    const double before = value, h = 1e-5;
    value = before + h;
    const double above = loss();
    value = before - h;
    const double below = loss();
    value = before;
    CHECK(found == Approx((above - below) / (2 * h)).margin(1e-9));
  }
}

// A residual stream with two norms and their gradients, in f32: the bytes of all gradients.
std::vector<std::byte> gradients_of_a_stream(bool sums_apart) {
  ParameterList list;
  Tape tape({.dtype = Dtype::f32}, list);
  const auto weight = [&](const char* name, Shape shape) {
    return tape.parameter({.name = name, .shape = shape, .initial = Initial::normal(1)});
  };
  const auto settled = [&](const Residual& x) {
    return sums_apart ? Residual{add(tape, x.x, x.branch, x.second_branch)} : x;
  };
  const Tensor tokens = tape.input("tokens", {1, 4}, Dtype::i32);
  const Tensor targets = tape.input("targets", {1, 4}, Dtype::i32);
  const Tensor scales = tape.input("scales", {1, 4}, Dtype::f32);
  const Tensor start = embed(tape, tokens, weight("embedding", {5, 19}));
  Residual x{start};
  x += linear(tape, start, weight("first", {19, 19}));
  x += linear(tape, start, weight("second", {19, 19}));
  x = settled(x);
  x += layer_norm(tape, x, weight("norm", {19}), weight("bias", {19}));
  x = settled(x);
  const Tensor hidden = rms_norm(tape, x, weight("last", {19}));
  classifier(tape, hidden, weight("head", {5, 19}), targets, scales);
  tape.finish();

  ParameterMemory memory(list, Device::cpu, Dtype::f32);
  initialise(list, memory, 3);
  const Buffer planned(Device::cpu, tape.planned_bytes());
  tape.bind_memory(planned.data());
  tape.bind_parameters(memory.values.data(), memory.gradients.data());
  std::int32_t ids[] = {0, 3, 1, 3}, next[] = {3, 1, 3, 2};
  float scale[] = {0.5, 1, 0.25, 2};
  tape.bind(tokens, ids), tape.bind(targets, next), tape.bind(scales, scale);
  Queue queue;
  tape.execute(queue);
  return {memory.gradients.data(), memory.gradients.data() + memory.gradients.bytes()};
}

TEST_CASE("a residual stream has the gradients of sums made apart, bit for bit") {
  const auto gradients = gradients_of_a_stream(false);
  CHECK(gradients == gradients_of_a_stream(true));
  CHECK(std::any_of(gradients.begin(), gradients.end(),
                    [](std::byte b) { return b != std::byte{}; }));
}

TEST_CASE("a residual sum takes three summands, no more") {
  const Tensor x{.shape = {2}};
  Residual sum{x};
  sum += x, sum += x;
  CHECK_THROWS_WITH(sum += x, "a residual sum has three summands at most");
}

TEST_CASE("an execution sees nothing of what its planned memory held before") {
  const Architecture architecture = any_architecture();
  const bool training = GENERATE(false, true);
  CAPTURE(name_of(architecture), training);
  ReadyProgram clean(architecture, {.training = training});
  ReadyProgram poisoned(architecture, {.training = training});
  poisoned.program.poison();
  clean.program.execute(clean.queue);
  poisoned.program.execute(poisoned.queue);
  CHECK(clean.losses() == poisoned.losses());
  CHECK(std::memcmp(clean.memory.gradients.data(), poisoned.memory.gradients.data(),
                    clean.memory.gradients.bytes()) == 0);
}

TEST_CASE("after the first execution a model allocates nothing") {
  const Architecture architecture = any_architecture();
  const bool bf16 = GENERATE(false, true);
  if (bf16 && multiplies_bf16()) return;  // what oneDNN keeps of such products is its own
  CAPTURE(name_of(architecture), bf16);
  ReadyProgram ready(architecture, {.bf16 = bf16});
  ready.program.execute(ready.queue);
  testing::take_allocations();
  const std::size_t used = mallinfo2().uordblks;
  ready.program.execute(ready.queue);
  const std::size_t used_after = mallinfo2().uordblks;
  CHECK(testing::take_allocations().count == 0);
  CHECK(used_after == used);  // of malloc itself
}

TEST_CASE("what is live at the peak fits the planned memory") {
  ParameterList list;
  const Program program(small_model(any_architecture()), {.rows = 2, .context = 24}, list);
  std::size_t live = 0;
  for (const auto& buffer : program.tape().at_peak()) live += buffer.bytes;
  CHECK(live > 0);
  CHECK(live <= program.tape().planned_bytes());
  CHECK(program.tape().planned_bytes() < 2 * live);  // the planner wastes less than half
}

}  // namespace
}  // namespace metascale
