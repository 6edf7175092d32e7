// cuDNN's fused attention through cudnn-frontend, for activations in bf16. It assigns gradients, so
// ones that must be added to are our own body's; so is all that cuDNN has no plan for. Its backward
// is asked to be deterministic: two runs give equal bits.
#include <cudnn.h>
#include <cudnn_frontend.h>

#include <array>
#include <bit>
#include <map>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "kernels/cuda/attention.hpp"
#include "kernels/cuda/context.hpp"
#include "kernels/gpu_failure.hpp"

namespace metascale::cuda {
namespace {

namespace graph = cudnn_frontend::graph;
using Graph = graph::Graph;
using TensorAttributes = std::shared_ptr<graph::Tensor_attributes>;
using Pointers = std::unordered_map<std::int64_t, void*>;  // by the tensor's name below

enum Name : std::int64_t {
  name_q = 1,
  name_k,
  name_v,
  name_y,
  name_lse,
  name_dy,
  name_dq,
  name_dk,
  name_dv
};

struct Shapes {
  std::int64_t B, T, S, H, N;
  float scale;
  bool backward;
};
using Key = std::array<std::int64_t, 7>;

Key key_of(const Shapes& s) {
  return {s.B, s.T, s.S, s.H, s.N, std::bit_cast<std::int32_t>(s.scale), s.backward};
}

Shapes shapes_of(const Tensor& q, const Tensor& k, double scale, bool backward) {
  return {q.shape[0], q.shape[1], k.shape[1], q.shape[2], q.shape[3], float(scale), backward};
}

struct Plan {
  std::shared_ptr<Graph> graph;  // nullptr: cuDNN has none
  std::int64_t workspace_bytes = 0;
  bool has_no_room = false;  // outside the operator's scratch
};

// A (B, rows, H, N) tensor of ours, as the (B, H, rows, N) that cuDNN reads.
graph::Tensor_attributes& describe(graph::Tensor_attributes& tensor, Name name, const Shapes& s,
                                   std::int64_t rows) {
  return tensor.set_uid(name)
      .set_dim({s.B, s.H, rows, s.N})
      .set_stride({rows * s.H * s.N, s.N, s.H * s.N, 1});
}

graph::Tensor_attributes& describe_lse(graph::Tensor_attributes& tensor, const Shapes& s) {
  return tensor.set_uid(name_lse)
      .set_dim({s.B, s.H, s.T, 1})
      .set_stride({s.H * s.T, s.T, 1, 1})
      .set_data_type(cudnn_frontend::DataType_t::FLOAT);
}

TensorAttributes input(Graph& to, Name name, const Shapes& s, std::int64_t rows) {
  graph::Tensor_attributes tensor;
  return to.tensor(describe(tensor, name, s, rows));
}

void output(const TensorAttributes& tensor, Name name, const Shapes& s, std::int64_t rows) {
  describe(*tensor, name, s, rows).set_output(true);
}

void describe_forward(Graph& to, const Shapes& s) {
  auto options = graph::SDPA_attributes().set_generate_stats(true).set_attn_scale(s.scale);
  if (s.S == s.T)
    options.set_causal_mask(true);
  else
    options.set_causal_mask_bottom_right(true);
  const auto [y, lse] = to.sdpa(input(to, name_q, s, s.T), input(to, name_k, s, s.S),
                                input(to, name_v, s, s.S), options);
  output(y, name_y, s, s.T);
  describe_lse(*lse, s).set_output(true);
}

void describe_backward(Graph& to, const Shapes& s) {
  const auto options = graph::SDPA_backward_attributes()
                           .set_causal_mask(true)
                           .set_attn_scale(s.scale)
                           .set_deterministic_algorithm(true);
  graph::Tensor_attributes lse;
  const auto [dq, dk, dv] =
      to.sdpa_backward(input(to, name_q, s, s.T), input(to, name_k, s, s.S),
                       input(to, name_v, s, s.S), input(to, name_y, s, s.T),
                       input(to, name_dy, s, s.T), to.tensor(describe_lse(lse, s)), options);
  output(dq, name_dq, s, s.T);
  output(dk, name_dk, s, s.S);
  output(dv, name_dv, s, s.S);
}

void expect(cudnnStatus_t status, const char* what, ExitCode code) {
  if (status != CUDNN_STATUS_SUCCESS)
    throw Error(concat(what, ": ", cudnnGetErrorString(status)), code);
}

std::byte* aligned(std::byte* data) {
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  return data + (round_up(address, std::uintptr_t(cudnn_alignment)) - address);
}

// Activations all in bf16 and on 16 bytes, heads of a width that cuDNN takes, no documents within a
// window.
template <typename Op>
bool is_takable(const Op& op) {
  bool takable = is_cudnn_head(op.q.shape[3]) && op.q.size() > 0;
  Op::operands(op, [&](const char* field, const Tensor& tensor, Use) {
    if (field == std::string_view("lse") || field == std::string_view("scratch")) return;
    if (!tensor.exists()) return;
    if (tensor.dtype != Dtype::bf16) takable = false;  // `first` too: it is i32
    if (reinterpret_cast<std::uintptr_t>(tensor.data) % 16 != 0) takable = false;
  });
  return takable;
}

}  // namespace

struct CudnnAttention {
  cudnnHandle_t handle = nullptr;
  std::map<Key, Plan> plans;
  // The last one is used; those that were too small stay: a CUDA graph may hold their addresses.
  std::vector<DeviceMemory> workspaces;
  std::int64_t workspace_bytes = 0;
  std::string body = "cudnn";

  CudnnAttention() {
    const cudnnStatus_t status = cudnnCreate(&handle);
    if (status == CUDNN_STATUS_SUCCESS) return;
    handle = nullptr;
    body = concat("own: cuDNN did not start (", cudnnGetErrorString(status), ")");
  }
  ~CudnnAttention() {
    if (handle) cudnnDestroy(handle);
  }
  CudnnAttention(const CudnnAttention&) = delete;
  CudnnAttention& operator=(const CudnnAttention&) = delete;

  // Made when a shape is first seen: never in the steady state.
  Plan& plan_of(const Shapes& shapes) {
    const auto [place, is_new] = plans.try_emplace(key_of(shapes));
    if (is_new) place->second = planned(shapes);
    return place->second;
  }

  // The operator's own scratch where it is enough, else memory of ours; nothing where there is no
  // room for that.
  std::optional<std::byte*> workspace_of(Plan& plan, const Shapes& shapes, const Tensor& scratch) {
    if (scratch.exists() && plan.workspace_bytes + cudnn_alignment <= std::int64_t(scratch.bytes()))
      return aligned(static_cast<std::byte*>(scratch.data));
    if (plan.workspace_bytes == 0) return nullptr;
    if (plan.workspace_bytes > workspace_bytes && !plan.has_no_room) grow(plan, shapes, scratch);
    if (plan.has_no_room) return std::nullopt;
    return workspaces.back().get();
  }

  // When it is first needed: never in the steady state.
  void grow(Plan& plan, const Shapes& shapes, const Tensor& scratch) {
    try {
      workspaces.emplace_back(allocate(std::size_t(plan.workspace_bytes)));
      workspace_bytes = plan.workspace_bytes;
      if (scratch.exists())
        body = concat("cudnn, with ", workspace_bytes, " bytes beside the ", scratch.bytes(),
                      " that were planned");
    } catch (const Error& error) {
      refuse(shapes, error.what());
      plan.has_no_room = true;
    }
  }

  void refuse(const Shapes& shapes, const std::string& why) {
    body = concat("cudnn, but own at B ", shapes.B, ", T ", shapes.T, ", S ", shapes.S, ", H ",
                  shapes.H, ", N ", shapes.N, shapes.backward ? " backward (" : " (", why, ")");
  }

  Plan planned(const Shapes& shapes) {
    if (shapes.backward && cudnn_backward_bytes(shapes.B, shapes.T, shapes.H) > most_cudnn_bytes) {
      refuse(shapes, "it would work in more than 4 GiB");
      return {};
    }
    auto made = std::make_shared<Graph>();
    made->set_io_data_type(cudnn_frontend::DataType_t::BFLOAT16)
        .set_intermediate_data_type(cudnn_frontend::DataType_t::FLOAT)
        .set_compute_data_type(cudnn_frontend::DataType_t::FLOAT);
    if (shapes.backward)
      describe_backward(*made, shapes);
    else
      describe_forward(*made, shapes);
    Plan plan;
    auto status = made->build(handle, {cudnn_frontend::HeurMode_t::A});
    if (!status.is_good() || !made->get_workspace_size(plan.workspace_bytes).is_good()) {
      refuse(shapes, status.get_message());
      return {};
    }
    plan.graph = std::move(made);
    return plan;
  }

  bool run(const Shapes& shapes, Pointers pointers, const Tensor& scratch, CUstream_st* stream) {
    if (!handle) return false;
    Plan& plan = plan_of(shapes);
    if (!plan.graph) return false;
    const std::optional<std::byte*> workspace = workspace_of(plan, shapes, scratch);
    if (!workspace) return false;
    expect(cudnnSetStream(handle, stream), "cuDNN did not take the stream", ExitCode::run_failed);
    auto status = plan.graph->execute(handle, pointers, *workspace);
    if (!status.is_good())
      throw GpuFailure(concat("cuDNN failed at attention", shapes.backward ? "'s backward: " : ": ",
                              status.get_message()));
    return true;
  }
};

void DestroyCudnnAttention::operator()(CudnnAttention* attention) const noexcept {
  const std::unique_ptr<CudnnAttention> last(attention);
}

bool has_cudnn_attention() { return true; }

CudnnAttentionPointer make_cudnn_attention() {
  return CudnnAttentionPointer(std::make_unique<CudnnAttention>().release());
}

const char* attention_body(const CudnnAttention* attention) { return attention->body.c_str(); }

bool run_by_cudnn(const AttentionForward& op, CudaQueue& queue) {
  if (!queue.context || !is_takable(op)) return false;
  return context_of(queue).cudnn_attention()->run(shapes_of(op.q, op.k, op.scale, false),
                                                  {{name_q, op.q.data},
                                                   {name_k, op.k.data},
                                                   {name_v, op.v.data},
                                                   {name_y, op.y.data},
                                                   {name_lse, op.lse.data}},
                                                  {}, queue.stream);
}

bool run_by_cudnn(const AttentionBackward& op, CudaQueue& queue) {
  if (!queue.context || !is_takable(op)) return false;
  if (!op.dq.fresh || !op.dk.fresh || !op.dv.fresh) return false;
  return context_of(queue).cudnn_attention()->run(shapes_of(op.q, op.k, op.scale, true),
                                                  {{name_q, op.q.data},
                                                   {name_k, op.k.data},
                                                   {name_v, op.v.data},
                                                   {name_y, op.y.data},
                                                   {name_lse, op.lse.data},
                                                   {name_dy, op.dy.data},
                                                   {name_dq, op.dq.data},
                                                   {name_dk, op.dk.data},
                                                   {name_dv, op.dv.data}},
                                                  op.scratch, queue.stream);
}

}  // namespace metascale::cuda
