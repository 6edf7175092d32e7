#include "kernels/wkv7.hpp"

#include "kernels/checks.hpp"

namespace metascale {

namespace {

struct Sizes {
  std::int64_t batch = 0, tokens = 0, heads = 0, size = 0;

  Shape vectors() const { return {batch, tokens, heads, size}; }
  Shape states() const { return {batch, heads, size, size}; }
  Shape checkpoints(bool chunked) const {
    return {batch, heads, wkv7_saved_states(tokens, chunked), size, size};
  }
  double head_tokens() const { return double(batch) * double(tokens) * double(heads); }
  double state_elements() const { return double(size) * double(size); }
};

Sizes sizes_of(const char* what, const Tensor& tensor) {
  const Shape& shape = tensor.shape;
  if (shape.rank != 4)
    throw Error(concat(what, " has shape ", shape, " but must have 4 axes: (B, T, H, N)"));
  if (shape.size() < 1)
    throw Error(concat(what, " has shape ", shape, " but must hold at least one token"));
  if (shape[3] > wkv7_max_head)
    throw Error(concat(what, " has heads of ", shape[3], " channels, but at most ", wkv7_max_head,
                       " are possible: take more and smaller heads"));
  return {shape[0], shape[1], shape[2], shape[3]};
}

struct Field {
  const char* name;
  const Tensor& tensor;
};

void expect(std::initializer_list<Field> fields, Shape wanted, const char* because) {
  for (const Field& field : fields) expect_shape(field.name, field.tensor, wanted, because);
}

void expect_if_present(std::initializer_list<Field> fields, Shape wanted, const char* because) {
  for (const Field& field : fields)
    if (field.tensor.exists()) expect_shape(field.name, field.tensor, wanted, because);
}

// Both or neither.
void expect_together(Field one, Field other) {
  if (one.tensor.exists() == other.tensor.exists()) return;
  const Field& absent = one.tensor.exists() ? other : one;
  const Field& present = one.tensor.exists() ? one : other;
  throw Error(
      concat(absent.name, " was left out but ", present.name, " was given: give both or neither"));
}

constexpr const char* like_r = "(B, T, H, N) of r";
constexpr const char* like_d = "(B, T, H, N) of d";
constexpr const char* state_of_r = "(B, H, N, N) of r";
constexpr const char* chunk_starts(bool chunked) {
  return chunked ? "(B, H, ceil(T / 64), N, N): one state for every 64 tokens of a head"
                 : "(B, H, ceil(T / 16), N, N): one state for every 16 tokens of a head";
}
constexpr const char* first_heads = "B, T and N of d, and a part of its heads";

// The second read-out has the first H_s heads of the H that d has.
void expect_first_heads(const char* what, const Tensor& tensor, const Sizes& all) {
  const Sizes some = sizes_of(what, tensor);
  const std::int64_t heads = some.heads < all.heads ? some.heads : all.heads;
  expect_shape(what, tensor, {all.batch, all.tokens, heads, all.size}, first_heads);
}

void expect_form(const char* what, const Tensor& vectors, bool chunked) {
  if (!chunked) return;
  if (vectors.shape[3] != wkv7_chunked_head)
    throw Error(concat(what, " has heads of ", vectors.shape[3],
                       " channels, but the chunked form is for heads of ", wkv7_chunked_head,
                       ": take the scan"));
  if (vectors.dtype != Dtype::bf16)
    throw Error(concat(what, " is stored in ", name_of(vectors.dtype),
                       ", but the chunked form is for bf16: take the scan"));
}

// FLOPs of one token of one head, per element of its state [model.md 4.2].
constexpr double forward_flops = 9, backward_flops = 24;
constexpr double read_out_flops = 7;     // 5 to rebuild the state, 2 to read it
constexpr double joint_query_flops = 2;  // G += de q^T

}  // namespace

void Wkv7Forward::check() const {
  const Sizes sizes = sizes_of("Wkv7Forward.r", r);
  expect_form("Wkv7Forward.r", r, chunked);
  expect({{"Wkv7Forward.d", d},
          {"Wkv7Forward.k", k},
          {"Wkv7Forward.v", v},
          {"Wkv7Forward.a", a},
          {"Wkv7Forward.b", b},
          {"Wkv7Forward.y", y}},
         sizes.vectors(), like_r);
  expect_together({"Wkv7Forward.u", u}, {"Wkv7Forward.checkpoints", checkpoints});
  expect_if_present({{"Wkv7Forward.u", u}}, sizes.vectors(), like_r);
  expect_if_present({{"Wkv7Forward.checkpoints", checkpoints}}, sizes.checkpoints(chunked),
                    chunk_starts(chunked));
  expect_if_present(
      {{"Wkv7Forward.initial_state", initial_state}, {"Wkv7Forward.final_state", final_state}},
      sizes.states(), state_of_r);
  expect_float_dtypes("Wkv7Forward", *this);
}

Cost Wkv7Forward::cost() const {
  const Sizes sizes = sizes_of("Wkv7Forward.r", r);
  return {forward_flops * sizes.state_elements() * sizes.head_tokens(), operand_bytes(*this)};
}

void Wkv7ReadOut::check() const {
  const Sizes sizes = sizes_of("Wkv7ReadOut.d", d);
  expect_form("Wkv7ReadOut.d", d, chunked);
  expect({{"Wkv7ReadOut.k", k}, {"Wkv7ReadOut.v", v}, {"Wkv7ReadOut.b", b}, {"Wkv7ReadOut.u", u}},
         sizes.vectors(), like_d);
  expect({{"Wkv7ReadOut.checkpoints", checkpoints}}, sizes.checkpoints(chunked),
         chunk_starts(chunked));
  expect_first_heads("Wkv7ReadOut.q", q, sizes);
  expect({{"Wkv7ReadOut.e", e}}, q.shape, "(B, T, H_s, N) of q");
  expect_float_dtypes("Wkv7ReadOut", *this);
}

Cost Wkv7ReadOut::cost() const {
  const Sizes sizes = sizes_of("Wkv7ReadOut.q", q);
  return {read_out_flops * sizes.state_elements() * sizes.head_tokens(), operand_bytes(*this)};
}

void Wkv7QueryBackward::check() const {
  const Sizes sizes = sizes_of("Wkv7QueryBackward.d", d);
  expect_form("Wkv7QueryBackward.d", d, chunked);
  expect({{"Wkv7QueryBackward.k", k},
          {"Wkv7QueryBackward.v", v},
          {"Wkv7QueryBackward.b", b},
          {"Wkv7QueryBackward.u", u}},
         sizes.vectors(), like_d);
  expect({{"Wkv7QueryBackward.checkpoints", checkpoints}}, sizes.checkpoints(chunked),
         chunk_starts(chunked));
  expect_first_heads("Wkv7QueryBackward.de", de, sizes);
  expect({{"Wkv7QueryBackward.dq", dq}}, de.shape, "(B, T, H_s, N) of de");
  expect_float_dtypes("Wkv7QueryBackward", *this);
}

Cost Wkv7QueryBackward::cost() const {
  const Sizes sizes = sizes_of("Wkv7QueryBackward.de", de);
  return {read_out_flops * sizes.state_elements() * sizes.head_tokens(), operand_bytes(*this)};
}

void Wkv7Backward::check() const {
  const Sizes sizes = sizes_of("Wkv7Backward.d", d);
  expect_form("Wkv7Backward.d", d, chunked);
  expect({{"Wkv7Backward.r", r},
          {"Wkv7Backward.k", k},
          {"Wkv7Backward.v", v},
          {"Wkv7Backward.a", a},
          {"Wkv7Backward.b", b},
          {"Wkv7Backward.u", u},
          {"Wkv7Backward.dy", dy},
          {"Wkv7Backward.dr", dr},
          {"Wkv7Backward.dd", dd},
          {"Wkv7Backward.dk", dk},
          {"Wkv7Backward.dv", dv},
          {"Wkv7Backward.da", da},
          {"Wkv7Backward.db", db}},
         sizes.vectors(), like_d);
  expect({{"Wkv7Backward.checkpoints", checkpoints}}, sizes.checkpoints(chunked),
         chunk_starts(chunked));
  expect_together({"Wkv7Backward.q", q}, {"Wkv7Backward.de", de});
  if (q.exists()) {
    expect_first_heads("Wkv7Backward.q", q, sizes);
    expect({{"Wkv7Backward.de", de}}, q.shape, "(B, T, H_s, N) of q");
  }
  expect_if_present({{"Wkv7Backward.dinitial_state", dinitial_state},
                     {"Wkv7Backward.dfinal_state", dfinal_state}},
                    sizes.states(), "(B, H, N, N) of d");
  expect_float_dtypes("Wkv7Backward", *this);
}

Cost Wkv7Backward::cost() const {
  const Sizes sizes = sizes_of("Wkv7Backward.d", d);
  double per_element = backward_flops * sizes.head_tokens();
  if (q.exists()) per_element += joint_query_flops * sizes_of("Wkv7Backward.q", q).head_tokens();
  return {per_element * sizes.state_elements(), operand_bytes(*this)};
}

}  // namespace metascale
