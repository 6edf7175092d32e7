#include "kernels/time_mix.hpp"

#include "kernels/checks.hpp"
#include "kernels/wkv7.hpp"

namespace metascale {
namespace {

struct Sizes {
  std::int64_t R, H, N;

  Shape rows() const { return {R, H * N}; }
  Shape vectors() const { return {R, H, N}; }
  Shape per_head() const { return {R, H}; }
  Shape channels() const { return {H * N}; }
};

struct Field {
  const char* name;
  const Tensor& tensor;
};

void expect(std::initializer_list<Field> fields, Shape wanted, const char* because) {
  for (const Field& field : fields) expect_merged_shape(field.name, field.tensor, wanted, because);
}

void expect_head_size(const char* what, const Sizes& sizes) {
  if (sizes.N < 1 || sizes.N > wkv7_max_head)
    throw Error(concat(what, " tells of heads of ", sizes.N, " channels, but 1 to ", wkv7_max_head,
                       " are possible: take another number of heads"));
}

// Rows and channels from `rows`, (R, A), heads from `per_head`, (R, H).
Sizes sizes_of(const char* rows_name, const Tensor& rows, const char* per_head_name,
               const Tensor& per_head) {
  expect_rank(rows_name, rows, 2, "(R, A)");
  expect_rank(per_head_name, per_head, 2, "(R, H)");
  const Shape flat = merged(rows.shape, 2);
  const std::int64_t H = merged(per_head.shape, 2)[1];
  if (H < 1 || flat[1] % H != 0)
    throw Error(concat(per_head_name, " has ", H, " heads, among which the ", flat[1],
                       " channels of ", rows_name, " cannot be shared out"));
  const Sizes sizes{flat[0], H, flat[1] / H};
  expect_merged_shape(per_head_name, per_head, sizes.per_head(), "one number per row and head");
  expect_head_size(rows_name, sizes);
  return sizes;
}

Sizes sizes_of(const char* name, const Tensor& vectors) {
  expect_rank(name, vectors, 3, "(R, H, N)");
  const Shape shape = merged(vectors.shape, 3);
  const Sizes sizes{shape[0], shape[1], shape[2]};
  expect_head_size(name, sizes);
  return sizes;
}

// The value residual's operands: all, or in the first layer none.
void expect_all_or_none(std::initializer_list<Field> fields, Shape wanted, const char* because) {
  const Field& first = *fields.begin();
  for (const Field& field : fields) {
    if (field.tensor.exists() != first.tensor.exists())
      throw Error(concat(field.tensor.exists() ? first.name : field.name, " was left out but ",
                         field.tensor.exists() ? field.name : first.name,
                         " was given: give the value residual's operands all, or (in the first "
                         "layer) none"));
    if (field.tensor.exists()) expect_merged_shape(field.name, field.tensor, wanted, because);
  }
}

constexpr const char* like_k_raw = "(R, A) of k_raw";
constexpr const char* per_channel = "one number per channel";

}  // namespace

void TimeMixOperandsForward::check() const {
  const Sizes sizes = sizes_of("TimeMixOperandsForward.k_raw", k_raw,
                               "TimeMixOperandsForward.inverse_norm", inverse_norm);
  expect({{"TimeMixOperandsForward.rate_logit", rate_logit},
          {"TimeMixOperandsForward.k", k},
          {"TimeMixOperandsForward.a", a},
          {"TimeMixOperandsForward.b", b}},
         sizes.rows(), like_k_raw);
  expect({{"TimeMixOperandsForward.k_k", k_k}, {"TimeMixOperandsForward.k_a", k_a}},
         sizes.channels(), per_channel);
  expect_all_or_none({{"TimeMixOperandsForward.v", v},
                      {"TimeMixOperandsForward.v_raw", v_raw},
                      {"TimeMixOperandsForward.v_first", v_first},
                      {"TimeMixOperandsForward.value_logit", value_logit}},
                     sizes.rows(), like_k_raw);
  expect_float_dtypes("TimeMixOperandsForward", *this);
}

// exp and the division of a sigmoid count as one operation each.
Cost TimeMixOperandsForward::cost() const {
  return {.flops = 15 * double(k_raw.size()) + 7 * double(v.size()), .bytes = operand_bytes(*this)};
}

void TimeMixOperandsBackward::check() const {
  const Sizes sizes = sizes_of("TimeMixOperandsBackward.k_raw", k_raw,
                               "TimeMixOperandsBackward.inverse_norm", inverse_norm);
  expect({{"TimeMixOperandsBackward.rate_logit", rate_logit},
          {"TimeMixOperandsBackward.dk", dk},
          {"TimeMixOperandsBackward.da", da},
          {"TimeMixOperandsBackward.db", db},
          {"TimeMixOperandsBackward.dk_raw", dk_raw},
          {"TimeMixOperandsBackward.drate_logit", drate_logit}},
         sizes.rows(), like_k_raw);
  expect({{"TimeMixOperandsBackward.k_k", k_k},
          {"TimeMixOperandsBackward.k_a", k_a},
          {"TimeMixOperandsBackward.dk_k", dk_k},
          {"TimeMixOperandsBackward.dk_a", dk_a}},
         sizes.channels(), per_channel);
  expect_all_or_none({{"TimeMixOperandsBackward.dv", dv},
                      {"TimeMixOperandsBackward.v_raw", v_raw},
                      {"TimeMixOperandsBackward.v_first", v_first},
                      {"TimeMixOperandsBackward.value_logit", value_logit},
                      {"TimeMixOperandsBackward.dv_raw", dv_raw},
                      {"TimeMixOperandsBackward.dv_first", dv_first},
                      {"TimeMixOperandsBackward.dvalue_logit", dvalue_logit}},
                     sizes.rows(), like_k_raw);
  expect_float_dtypes("TimeMixOperandsBackward", *this);
}

Cost TimeMixOperandsBackward::cost() const {
  return {.flops = 36 * double(k_raw.size()) + 13 * double(dv.size()),
          .bytes = operand_bytes(*this)};
}

void TimeMixOutputForward::check() const {
  const Sizes sizes = sizes_of("TimeMixOutputForward.y", y);
  expect({{"TimeMixOutputForward.r", r},
          {"TimeMixOutputForward.k", k},
          {"TimeMixOutputForward.v", v},
          {"TimeMixOutputForward.yhat", yhat}},
         sizes.vectors(), "(R, H, N) of y");
  expect({{"TimeMixOutputForward.gate", gate}, {"TimeMixOutputForward.out", out}}, sizes.rows(),
         "(R, A) with A = H N of y");
  expect({{"TimeMixOutputForward.scale", scale}}, sizes.per_head(),
         "one number per row and head of y");
  expect({{"TimeMixOutputForward.weight", weight}, {"TimeMixOutputForward.bias", bias}},
         sizes.channels(), per_channel);
  expect({{"TimeMixOutputForward.bonus", bonus}}, {sizes.H, sizes.N}, "(H, N) of y");
  expect_float_dtypes("TimeMixOutputForward", *this);
}

Cost TimeMixOutputForward::cost() const {
  return {.flops = 15 * double(y.size()), .bytes = operand_bytes(*this)};
}

void TimeMixOutputBackward::check() const {
  const Sizes sizes = sizes_of("TimeMixOutputBackward.yhat", yhat);
  expect({{"TimeMixOutputBackward.r", r},
          {"TimeMixOutputBackward.k", k},
          {"TimeMixOutputBackward.v", v},
          {"TimeMixOutputBackward.dy", dy},
          {"TimeMixOutputBackward.dr", dr},
          {"TimeMixOutputBackward.dk", dk},
          {"TimeMixOutputBackward.dv", dv}},
         sizes.vectors(), "(R, H, N) of yhat");
  if (dyhat.exists())
    expect({{"TimeMixOutputBackward.dyhat", dyhat}}, sizes.vectors(), "(R, H, N) of yhat");
  expect({{"TimeMixOutputBackward.gate", gate},
          {"TimeMixOutputBackward.dout", dout},
          {"TimeMixOutputBackward.dgate", dgate}},
         sizes.rows(), "(R, A) with A = H N of yhat");
  expect({{"TimeMixOutputBackward.scale", scale}}, sizes.per_head(),
         "one number per row and head of yhat");
  expect({{"TimeMixOutputBackward.weight", weight},
          {"TimeMixOutputBackward.bias", bias},
          {"TimeMixOutputBackward.dweight", dweight},
          {"TimeMixOutputBackward.dbias", dbias}},
         sizes.channels(), per_channel);
  expect({{"TimeMixOutputBackward.bonus", bonus}, {"TimeMixOutputBackward.dbonus", dbonus}},
         {sizes.H, sizes.N}, "(H, N) of yhat");
  expect_float_dtypes("TimeMixOutputBackward", *this);
}

Cost TimeMixOutputBackward::cost() const {
  return {.flops = 38 * double(yhat.size()), .bytes = operand_bytes(*this)};
}

}  // namespace metascale
