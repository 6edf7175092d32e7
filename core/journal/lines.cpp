#include "core/journal/lines.hpp"

#include "core/error.hpp"

namespace metascale {
namespace {
constexpr std::size_t block_bytes = std::size_t(64) << 10;
}

LineReader::LineReader(const std::filesystem::path& path)
    : file_(open_to_read(path, Links::refuse)) {
  file_.size();
}

bool LineReader::fill() {
  buffer_.erase(0, used_);
  used_ = 0;
  if (buffer_.size() > max_line_bytes)
    throw Error(concat(file_.path().string(), ":", number_ + 1, ": this line has more than ",
                       max_line_bytes, " bytes; this is no journal"),
                ExitCode::bad_input);
  const std::size_t kept = buffer_.size();
  buffer_.resize(kept + block_bytes);
  const std::size_t got = file_.read_some(buffer_.data() + kept, block_bytes, read_);
  buffer_.resize(kept + got);
  read_ += got;
  return got > 0;
}

bool LineReader::next(std::string_view& line) {
  std::size_t searched = used_, feed;
  while ((feed = buffer_.find('\n', searched)) == std::string::npos) {
    const std::size_t unread = buffer_.size() - used_;
    if (!fill()) break;
    searched = unread;
  }
  begin_ = read_ - (buffer_.size() - used_);
  ended_ = feed != std::string::npos;
  if (!ended_ && used_ == buffer_.size()) return false;
  const std::size_t end = ended_ ? feed : buffer_.size();
  line = std::string_view(buffer_).substr(used_, end - used_);
  used_ = end + (ended_ ? 1 : 0);
  ++number_;
  return true;
}

bool LineReader::at_end() { return used_ == buffer_.size() && !fill(); }

}  // namespace metascale
