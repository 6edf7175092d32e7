#include "experiments/exchange/names.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace metascale::exchange {
namespace {

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  if (const std::size_t at = text.find(from); at != std::string::npos)
    text.replace(at, from.size(), to);
  return text;
}

// RWKV-LM keeps the vectors of its token shift and time mix as (1, 1, n).
bool is_lifted_vector(const std::string& name) {
  static constexpr std::string_view lifted[] = {"x_r", "x_w", "x_k", "x_v", "x_a", "x_g",
                                                "w0",  "a0",  "v0",  "k_k", "k_a"};
  const std::string last = name.substr(name.rfind('.') + 1);
  return std::find(std::begin(lifted), std::end(lifted), last) != std::end(lifted);
}

// The parts of our names, after RWKV-LM, and those of flash-linear-attention; the first that fits.
struct Renaming {
  std::string_view ours, fla;
};
constexpr Renaming whole_names[] = {{"emb.weight", "model.embeddings.weight"},
                                    {"head.weight", "lm_head.weight"},
                                    {"ln_out.weight", "model.norm.weight"},
                                    {"ln_out.bias", "model.norm.bias"}};
constexpr Renaming parts[] = {{".ln0.", ".pre_norm."},
                              {".ln1.", ".attn_norm."},
                              {".ln2.", ".ffn_norm."},
                              {".att.receptance.", ".attn.r_proj."},
                              {".att.key.", ".attn.k_proj."},
                              {".att.value.", ".attn.v_proj."},
                              {".att.output.", ".attn.o_proj."},
                              {".att.ln_x.", ".attn.g_norm."},
                              {".att.", ".attn."}};

// "w1" -> "w_lora.lora.0.weight": its low-rank maps are Linear layers, [out, in], with w0 as the
// bias.
bool rename_low_rank(ForeignTensor& tensor, const std::string& ours) {
  const std::size_t dot = ours.rfind('.');
  const std::string last = ours.substr(dot + 1);
  if (last.size() != 2 || ours.find(".att.") == std::string::npos) return false;
  static constexpr std::array<std::string_view, 3> places = {"2.bias", "0.weight", "2.weight"};
  const std::size_t number = std::size_t(last[1] - '0');
  if (std::string_view("wavg").find(last[0]) == std::string_view::npos || number >= places.size())
    return false;
  tensor.name = replaced(ours.substr(0, dot + 1), ".att.", ".attn.") + last[0] + "_lora.lora." +
                std::string(places[number]);
  tensor.transposed = number > 0;
  return true;
}

void rename_to_fla(ForeignTensor& tensor, const std::string& ours) {
  for (const Renaming& row : whole_names)
    if (ours == row.ours) {
      tensor.name = row.fla;
      return;
    }
  if (!rename_low_rank(tensor, ours))
    for (const Renaming& row : parts)
      if (ours.find(row.ours) != std::string::npos) {
        tensor.name = replaced(ours, row.ours, row.fla);
        break;
      }
  tensor.name = "model.layers." + tensor.name.substr(std::string_view("blocks.").size());
}

}  // namespace

ForeignTensor foreign_tensor(ExchangeFormat format, const ParameterSpec& ours) {
  ForeignTensor tensor{.name = ours.name};
  for (int axis = 0; axis < ours.shape.rank; ++axis) tensor.shape.push_back(ours.shape[axis]);
  const std::vector<std::int64_t> lifted{1, 1, ours.shape[0]};
  switch (format) {
    case ExchangeFormat::gpt_neox:
      if (ours.name != "embed_out.weight") tensor.name = "gpt_neox." + ours.name;
      break;
    case ExchangeFormat::llama:
    case ExchangeFormat::meta_state: break;
    case ExchangeFormat::rwkv:
      if (is_lifted_vector(ours.name)) tensor.shape = lifted;
      break;
    case ExchangeFormat::fla:
      rename_to_fla(tensor, ours.name);
      if (tensor.name.find(".attn.x_") != std::string::npos) tensor.shape = lifted;
      break;
  }
  if (tensor.transposed) std::reverse(tensor.shape.begin(), tensor.shape.end());
  return tensor;
}

bool is_unused(ExchangeFormat format, const std::string& name) {
  const auto ends = [&](std::initializer_list<std::string_view> endings) {
    return std::any_of(endings.begin(), endings.end(),
                       [&](std::string_view ending) { return name.ends_with(ending); });
  };
  switch (format) {
    case ExchangeFormat::gpt_neox:  // the causal mask and frequencies, as older versions kept them
      return ends({".attention.bias", ".attention.masked_bias", ".rotary_emb.inv_freq"});
    case ExchangeFormat::llama: return ends({".rotary_emb.inv_freq"});
    case ExchangeFormat::rwkv:  // the first layer has no values to mix in
      return name == "blocks.0.att.v0" || name == "blocks.0.att.v1" || name == "blocks.0.att.v2";
    case ExchangeFormat::fla:
    case ExchangeFormat::meta_state: return false;
  }
  return false;
}

}  // namespace metascale::exchange
