// A model token by token, and many at once where they are known. Recurrent models carry their
// state, of constant size; Transformers keep the keys and values of all tokens so far, in a cache
// that doubles when it is full.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "experiments/program.hpp"
#include "experiments/stored_model.hpp"

namespace metascale {

class Generator {
 public:
  // The model must outlive it.
  Generator(LoadedModel& model, int threads);

  // Reads one more token; logits() are then those of the token that follows it.
  // Throws Error{usage} for an id outside of the vocabulary.
  void read(std::int32_t token);
  // Reads them in order: as many as fill chunks of tokens_at_once in parallel form, the rest one by
  // one. Equal to reading one by one but for rounding. Throws as above, before it reads any.
  void read(std::span<const std::int32_t> tokens);
  static constexpr std::int64_t tokens_at_once = 64;
  const std::vector<double>& logits() const { return logits_; }  // (V)

  std::int64_t position() const { return program_->position(); }  // tokens read
  std::size_t state_bytes() const;    // held for what is carried to the next token
  std::size_t carried_bytes() const;  // of them, used: of a cache, the tokens read

  // What a generation goes on from: a safetensors file with the state and the logits of its last
  // token. restore_state throws Error{bad_input} for the state of another model.
  void save_state(const std::filesystem::path& path) const;
  void restore_state(const std::filesystem::path& path);

 private:
  bool has_cache() const;
  std::unique_ptr<Program> make_program(std::int64_t capacity, std::int64_t tokens = 1,
                                        const Program* state_of = nullptr) const;
  void expect_known(std::int32_t token) const;
  void make_room(std::int64_t tokens);
  void grow_cache(std::int64_t capacity);
  void read_chunks(std::span<const std::int32_t> tokens);
  void take_logits(const Program& program);
  std::size_t used_bytes(const Tensor& state) const;

  LoadedModel& model_;
  std::int64_t capacity_;
  std::unique_ptr<Program> program_;
  std::vector<double> logits_;
  Queue queue_;
};

}  // namespace metascale
