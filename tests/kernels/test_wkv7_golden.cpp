// WKV7 against the recurrence and its gradients by automatic differentiation in float64
// [tests/golden/model/README.md]: both read-outs, both head sizes, every instruction set.
#include "core/hdf5.hpp"
#include "kernels/instructions.hpp"
#include "tests/kernels/wkv7_case.hpp"

namespace metascale {
namespace {

using namespace testing;

// The files carry 35 bits; float32 sums of 37 tokens and 64 channels stay far below 1e-4.
double tolerance_of(Dtype dtype) { return dtype == Dtype::f64 ? 1e-9 : 1e-4; }

class Golden {
 public:
  explicit Golden(const std::string& name)
      : reader_(std::string(METASCALE_GOLDEN) + "/model/" + name + ".h5") {}

  void load(const Tensor& to, const std::string& dataset) const {
    REQUIRE(reader_.extents(dataset) ==
            std::vector<std::int64_t>(to.shape.extents.begin(),
                                      to.shape.extents.begin() + to.shape.rank));
    assign(to, reader_.read<double>(dataset));
  }

  void expect(const Tensor& tensor, const std::string& dataset) const {
    INFO(dataset);
    const Values wanted = reader_.read<double>(dataset), found = values_of(tensor);
    REQUIRE(found.size() == wanted.size());
    double largest = 0, distance = 0;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      largest = std::max(largest, std::abs(wanted[i]));
      const double difference = std::abs(found[i] - wanted[i]);
      distance = std::isfinite(difference) ? std::max(distance, difference) : INFINITY;
    }
    CHECK(distance <= tolerance_of(tensor.dtype) * largest);
  }

  std::vector<double> read(const std::string& dataset) const {
    return reader_.read<double>(dataset);
  }

 private:
  Hdf5Reader reader_;
};

Wkv7Case golden_case(const Golden& golden, Dtype dtype, std::int64_t N, WkvRead read) {
  Wkv7Case item(dtype, {.B = 2, .T = 37, .H = 2, .heads_read = 2, .N = N}, read);
  golden.load(item.forward.r, "/in/r");
  golden.load(item.forward.d, "/in/w_raw");
  golden.load(item.forward.k, "/in/k");
  golden.load(item.forward.v, "/in/v");
  golden.load(item.forward.a, "/in/a");
  golden.load(item.forward.b, "/in/b");
  golden.load(item.read_out.q, "/in/q");
  golden.load(item.forward.initial_state, "/in/s0");
  golden.load(item.backward.dy, "/in/dy");
  golden.load(item.backward.de, "/in/de");
  golden.load(item.backward.dfinal_state, "/in/dsT");
  return item;
}

void expect_golden(const Golden& golden, const Wkv7Case& item, WkvRead read) {
  const std::string option = read == WkvRead::previous ? "/previous/" : "/current/";
  golden.expect(item.forward.y, "/out/y");
  golden.expect(item.forward.final_state, "/out/sT");
  golden.expect(item.read_out.e, option + "e");
  golden.expect(item.query_backward.dq, option + "grad/q");
  golden.expect(item.backward.dr, option + "grad/r");
  golden.expect(item.backward.dd, option + "grad/w_raw");
  golden.expect(item.backward.dk, option + "grad/k");
  golden.expect(item.backward.dv, option + "grad/v");
  golden.expect(item.backward.da, option + "grad/a");
  golden.expect(item.backward.db, option + "grad/b");
  golden.expect(item.backward.dinitial_state, option + "grad/s0");
}

TEST_CASE("WKV7 agrees with the golden vectors in f64") {
  const std::int64_t N = GENERATE(32, 64);
  const WkvRead read = GENERATE(WkvRead::previous, WkvRead::current);
  const Golden golden("wkv7_n" + std::to_string(N));
  const Wkv7Case item = golden_case(golden, Dtype::f64, N, read);
  Queue queue;
  item.run(queue);
  expect_golden(golden, item, read);
}

TEST_CASE("WKV7 agrees with the golden vectors in f32 with every instruction set") {
  const std::int64_t N = GENERATE(32, 64);
  const WkvRead read = GENERATE(WkvRead::previous, WkvRead::current);
  Queue queue;
  queue.cpu.simd =
      GENERATE(filter(processor_has, values({Simd::scalar, Simd::avx2, Simd::avx512})));
  const Golden golden("wkv7_n" + std::to_string(N));
  const Wkv7Case item = golden_case(golden, Dtype::f32, N, read);
  item.run(queue);
  expect_golden(golden, item, read);
}

// One head of (B, T, H, N) as a tensor of its own.
void load_head(const Golden& golden, const Tensor& to, const std::string& dataset, std::int64_t H,
               std::int64_t batch, std::int64_t head) {
  const std::vector<double> all = golden.read(dataset);
  const std::int64_t T = to.shape[1], N = to.shape[3];
  Values values;
  for (std::int64_t t = 0; t < T; ++t)
    for (std::int64_t n = 0; n < N; ++n)
      values.push_back(all[std::size_t(((batch * T + t) * H + head) * N + n)]);
  assign(to, values);
}

TEST_CASE("WKV7 without a second read-out agrees with the golden gradients of one head") {
  const Golden golden("wkv7_n32");
  const Dtype dtype = GENERATE(Dtype::f32, Dtype::f64);
  Wkv7Case item(dtype, {.B = 1, .T = 37, .H = 1, .heads_read = 1, .N = 32}, WkvRead::previous);
  load_head(golden, item.forward.r, "/in/r", 2, 0, 1);
  load_head(golden, item.forward.d, "/in/w_raw", 2, 0, 1);
  load_head(golden, item.forward.k, "/in/k", 2, 0, 1);
  load_head(golden, item.forward.v, "/in/v", 2, 0, 1);
  load_head(golden, item.forward.a, "/in/a", 2, 0, 1);
  load_head(golden, item.forward.b, "/in/b", 2, 0, 1);
  load_head(golden, item.backward.dy, "/in/dy", 2, 0, 1);
  const std::vector<double> states = golden.read("/in/s0");
  assign(item.forward.initial_state,
         Values(states.begin() + 32 * 32, states.begin() + 2 * 32 * 32));
  item.backward.q = item.backward.de = item.backward.dfinal_state = {};
  Queue queue;
  run(queue, item.forward);
  run(queue, item.backward);
  golden.expect(item.backward.dr, "/grad_y_only_b0h1/r");
  golden.expect(item.backward.dd, "/grad_y_only_b0h1/w_raw");
  golden.expect(item.backward.dk, "/grad_y_only_b0h1/k");
  golden.expect(item.backward.dv, "/grad_y_only_b0h1/v");
  golden.expect(item.backward.da, "/grad_y_only_b0h1/a");
  golden.expect(item.backward.db, "/grad_y_only_b0h1/b");
  golden.expect(item.backward.dinitial_state, "/grad_y_only_b0h1/s0");
}

}  // namespace
}  // namespace metascale
