#include "data/files/byte_source.hpp"

#include <fcntl.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <bit>

#include "core/error.hpp"
#include "core/file.hpp"
#include "core/hash.hpp"

namespace metascale {
namespace {

constexpr std::size_t block_bytes = std::size_t(1) << 20;

// The logarithm of the largest window that a file may ask for: what level 19 takes, 8 MiB, or 1024
// bytes for each of its own, up to zstd's own limit of 128 MiB. A tiny file must not take much
// memory.
int largest_window(std::uint64_t file_bytes) {
  const std::uint64_t most = 1024 * std::min(file_bytes, std::uint64_t(1) << 17);
  return std::max(23, int(std::bit_width(most)) - 1);
}

class StoredFile final : public ByteSource {
 public:
  explicit StoredFile(const std::filesystem::path& path) : file_(path, O_RDONLY) {}

  bool read(std::string& out) override {
    const std::size_t before = out.size();
    out.resize(before + block_bytes);
    const std::size_t count =
        file_.read_some(out.data() + before, block_bytes, std::uint64_t(offset_));
    out.resize(before + count);
    sha256_.update(out.data() + before, count);
    offset_ += std::int64_t(count);
    return count > 0;
  }
  std::uint64_t size() const { return file_.size(); }
  std::int64_t stored_bytes() const override { return offset_; }
  std::string sha256() override {
    const auto digest = sha256_.finish();
    return to_hex(digest.data(), digest.size());
  }

 private:
  File file_;
  std::int64_t offset_ = 0;
  Sha256 sha256_;
};

class ZstdFile final : public ByteSource {
 public:
  explicit ZstdFile(const std::filesystem::path& path)
      : path_(path), stored_(path), stream_(ZSTD_createDStream()) {
    ZSTD_DCtx_setParameter(stream_.get(), ZSTD_d_windowLogMax, largest_window(stored_.size()));
  }

  bool read(std::string& out) override {
    const std::size_t before = out.size();
    while (out.size() == before) {
      if (!more_output_ && used_ == compressed_.size() && !refill()) return false;
      decompress(out);
    }
    return true;
  }
  std::int64_t stored_bytes() const override { return stored_.stored_bytes(); }
  std::string sha256() override { return stored_.sha256(); }

 private:
  bool refill() {
    compressed_.clear();
    used_ = 0;
    if (stored_.read(compressed_)) return true;
    if (inside_frame_)
      throw Error(concat(path_.string(), ": ends inside a zstd frame, after ",
                         stored_.stored_bytes(), " bytes: truncated; fetch it again"),
                  ExitCode::bad_input);
    return false;
  }

  void decompress(std::string& out) {
    const std::size_t before = out.size();
    out.resize(before + block_bytes);
    ZSTD_inBuffer in{compressed_.data(), compressed_.size(), used_};
    ZSTD_outBuffer into{out.data() + before, block_bytes, 0};
    const std::size_t left = ZSTD_decompressStream(stream_.get(), &into, &in);
    if (ZSTD_getErrorCode(left) == ZSTD_error_frameParameter_windowTooLarge)
      throw Error(concat(path_.string(), ": asks for a zstd window above ",
                         std::uint64_t(1) << largest_window(stored_.size()),
                         " bytes; compress it again with a lower level or without --long"),
                  ExitCode::bad_input);
    if (ZSTD_isError(left))
      throw Error(
          concat(path_.string(), ": is damaged zstd, or not zstd: ", ZSTD_getErrorName(left),
                 " near byte ", stored_.stored_bytes() - std::int64_t(compressed_.size() - in.pos),
                 "; fetch it again, or name it without .zst if it is none"),
          ExitCode::bad_input);
    used_ = in.pos;
    inside_frame_ = left != 0;  // 0: a frame is complete and written out; another may follow
    more_output_ = inside_frame_ && into.pos == into.size;
    out.resize(before + into.pos);
  }

  struct Free {
    void operator()(ZSTD_DStream* stream) const { ZSTD_freeDStream(stream); }
  };
  std::filesystem::path path_;
  StoredFile stored_;
  std::unique_ptr<ZSTD_DStream, Free> stream_;
  std::string compressed_;
  std::size_t used_ = 0;
  bool inside_frame_ = false;
  bool more_output_ = false;  // the decoder may hold some back for which there was no room
};

}  // namespace

std::unique_ptr<ByteSource> open_byte_source(const std::filesystem::path& path) {
  if (path.extension() == ".zst") return std::make_unique<ZstdFile>(path);
  return std::make_unique<StoredFile>(path);
}

}  // namespace metascale
