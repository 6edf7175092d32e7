// What a program without CUDA is linked with: every call of the device 'cuda' says so.
#include "kernels/attention.hpp"
#include "kernels/cross_entropy.hpp"
#include "kernels/cuda/attention.hpp"
#include "kernels/cuda/memory.hpp"
#include "kernels/elementwise.hpp"
#include "kernels/embedding.hpp"
#include "kernels/gpu.hpp"
#include "kernels/launch_graph.hpp"
#include "kernels/low_rank.hpp"
#include "kernels/matmul.hpp"
#include "kernels/norm.hpp"
#include "kernels/optimizer.hpp"
#include "kernels/reset.hpp"
#include "kernels/rotary.hpp"
#include "kernels/self_state.hpp"
#include "kernels/time_mix.hpp"
#include "kernels/token_shift.hpp"
#include "kernels/wkv7.hpp"

namespace metascale {
namespace {

[[noreturn]] void refuse() {
  throw Error(
      "device 'cuda' was asked for, but this program was built without CUDA; configure it with: "
      "cmake --preset cuda",
      ExitCode::unavailable);
}

}  // namespace

void AttentionForward::on(CudaQueue&) const { refuse(); }
void AttentionBackward::on(CudaQueue&) const { refuse(); }
void ClassifierLoss::on(CudaQueue&) const { refuse(); }
void ClassifierLossAndGradients::on(CudaQueue&) const { refuse(); }
void ActivationForward::on(CudaQueue&) const { refuse(); }
void ActivationBackward::on(CudaQueue&) const { refuse(); }
void SwigluForward::on(CudaQueue&) const { refuse(); }
void SwigluBackward::on(CudaQueue&) const { refuse(); }
void AddForward::on(CudaQueue&) const { refuse(); }
void Accumulate::on(CudaQueue&) const { refuse(); }
void Fill::on(CudaQueue&) const { refuse(); }
void Cast::on(CudaQueue&) const { refuse(); }
void EmbeddingForward::on(CudaQueue&) const { refuse(); }
void EmbeddingBackward::on(CudaQueue&) const { refuse(); }
void JoinFactorsForward::on(CudaQueue&) const { refuse(); }
void JoinFactorsBackward::on(CudaQueue&) const { refuse(); }
void SplitHiddenForward::on(CudaQueue&) const { refuse(); }
void SplitHiddenBackward::on(CudaQueue&) const { refuse(); }
void Matmul::on(CudaQueue&) const { refuse(); }
void ColumnSum::on(CudaQueue&) const { refuse(); }
void LayerNormForward::on(CudaQueue&) const { refuse(); }
void LayerNormBackward::on(CudaQueue&) const { refuse(); }
void RmsNormForward::on(CudaQueue&) const { refuse(); }
void RmsNormBackward::on(CudaQueue&) const { refuse(); }
void HeadNormForward::on(CudaQueue&) const { refuse(); }
void HeadNormBackward::on(CudaQueue&) const { refuse(); }
void AdamW::on(CudaQueue&) const { refuse(); }
void SumOfSquares::on(CudaQueue&) const { refuse(); }
void ResetForward::on(CudaQueue&) const { refuse(); }
void ResetBackward::on(CudaQueue&) const { refuse(); }
void RotaryForward::on(CudaQueue&) const { refuse(); }
void RotaryBackward::on(CudaQueue&) const { refuse(); }
void SplitHeadsForward::on(CudaQueue&) const { refuse(); }
void SplitHeadsBackward::on(CudaQueue&) const { refuse(); }
void SelfStateQueryForward::on(CudaQueue&) const { refuse(); }
void SelfStateQueryBackward::on(CudaQueue&) const { refuse(); }
void SelfStateMixForward::on(CudaQueue&) const { refuse(); }
void SelfStateMixBackward::on(CudaQueue&) const { refuse(); }
void TimeMixOperandsForward::on(CudaQueue&) const { refuse(); }
void TimeMixOperandsBackward::on(CudaQueue&) const { refuse(); }
void TimeMixOutputForward::on(CudaQueue&) const { refuse(); }
void TimeMixOutputBackward::on(CudaQueue&) const { refuse(); }
void TokenShiftForward::on(CudaQueue&) const { refuse(); }
void TokenShiftBackward::on(CudaQueue&) const { refuse(); }
void LastToken::on(CudaQueue&) const { refuse(); }
void Wkv7Forward::on(CudaQueue&) const { refuse(); }
void Wkv7ReadOut::on(CudaQueue&) const { refuse(); }
void Wkv7QueryBackward::on(CudaQueue&) const { refuse(); }
void Wkv7Backward::on(CudaQueue&) const { refuse(); }

namespace cuda {

bool is_linked() { return false; }
bool has_cudnn_attention() { return false; }
GpuInfo gpu_info(int) { refuse(); }
Context* create_context(const GpuOptions&) { refuse(); }
void destroy(Context*) noexcept {}
CudaQueue queue_of(Context&) { refuse(); }
const GpuInfo& info_of(const Context&) { refuse(); }
std::optional<double> joules_of(const Context&) { refuse(); }
const char* attention_of(const Context&) { refuse(); }
GpuMemory memory_of(const Context&) { refuse(); }
void wait_for(Context&) { refuse(); }
void DestroyGraph::operator()(Graph*) const noexcept {}
GraphPointer captured(const CudaQueue&, const std::function<void()>&) { refuse(); }
void replay(const Graph&, const CudaQueue&) { refuse(); }
std::byte* allocate(std::size_t) { refuse(); }
void release(std::byte*) noexcept {}
std::byte* allocate_pinned(std::size_t) { refuse(); }
void release_pinned(std::byte*) noexcept {}
void finish(CUstream_st*) { refuse(); }
void clear(std::byte*, std::size_t, CUstream_st*) { refuse(); }
void copy_to_device(std::byte*, const void*, std::size_t, CUstream_st*) { refuse(); }
void copy_to_host(void*, const std::byte*, std::size_t, CUstream_st*) { refuse(); }
void send_to_device(std::byte*, const std::byte*, std::size_t, CUstream_st*) { refuse(); }
void send_to_host(std::byte*, const std::byte*, std::size_t, CUstream_st*) { refuse(); }

}  // namespace cuda
}  // namespace metascale
