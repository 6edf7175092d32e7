#include "experiments/data_parallel.hpp"

#include <algorithm>
#include <cstring>

namespace metascale {

DataParallel::DataParallel(Communicator& host, Communicator& devices, const Shards& shards,
                           ParameterMemory& memory)
    : host_(host), devices_(devices), shards_(shards), memory_(memory) {}

Tensor DataParallel::bucket_of(const Buffer& arena, const Bucket& bucket) const {
  return {.data = arena.data() + std::size_t(bucket.elements.begin) * size_of(memory_.dtype),
          .shape = {bucket.elements.size()},
          .dtype = memory_.dtype};
}

void DataParallel::send_and_reduce(Program& program, Queue& queue, std::function<void()> read) {
  const auto& buckets = shards_.buckets();
  std::size_t next = 0;
  program.send(queue, std::move(read), [&](std::size_t step) {
    for (; next < buckets.size() && buckets[next].ready <= step; ++next)
      devices_.reduce_scatter(bucket_of(memory_.gradients, buckets[next]), Reduction::sum);
  });
  program.finish(queue);  // what this GPU still computes is no reason to miss the other ranks
  devices_.wait();
}

void DataParallel::gather_values(Queue& queue, std::int64_t step) {
  for (const Bucket& bucket : shards_.buckets())
    devices_.all_gather(bucket_of(memory_.values, bucket));
  devices_.wait();
  memory_.round_copies(queue, step);
}

// Calls body(scratch, first byte of the bucket in an arena, of this rank's piece in the bucket, in
// the shard's moments, bytes of the piece): one bucket at a time, so that little memory is taken.
template <typename Body>
void DataParallel::for_buckets(Body&& body) {
  const std::size_t element = size_of(memory_.dtype);
  std::vector<std::byte> scratch;
  for (std::size_t i = 0; i < shards_.buckets().size(); ++i) {
    const Range bucket = shards_.buckets()[i].elements;
    const auto& [mine, moment] = shards_.mine()[i];
    scratch.resize(std::size_t(bucket.size()) * element);
    const Tensor tensor{.data = scratch.data(), .shape = {bucket.size()}, .dtype = memory_.dtype};
    body(tensor, std::size_t(bucket.begin) * element,
         std::size_t(mine.begin - bucket.begin) * element, std::size_t(moment) * element,
         std::size_t(mine.size()) * element);
  }
}

void DataParallel::gather(const Queue& queue, const HostArenas* whole) {
  if (whole) copy_to_host(queue, whole->values, memory_.values.data(), memory_.values.bytes());
  const auto gather_moment = [&](const auto& shard, std::byte* target) {
    for_buckets([&](const Tensor& bucket, std::size_t begin, std::size_t mine, std::size_t moment,
                    std::size_t bytes) {
      auto* scratch = static_cast<std::byte*>(bucket.data);
      copy_to_host(queue, scratch + mine, shard.data() + moment, bytes);
      host_.all_gather(bucket);
      host_.wait();
      if (target) std::memcpy(target + begin, scratch, bucket.bytes());
    });
  };
  gather_moment(memory_.m, whole ? whole->m : nullptr);
  gather_moment(memory_.v, whole ? whole->v : nullptr);
}

void DataParallel::scatter(const Queue& queue, const HostArenas* whole) {
  const auto send = [&](const Tensor& bucket, const std::byte* source, std::size_t begin) {
    if (source) std::memcpy(bucket.data, source + begin, bucket.bytes());
    host_.broadcast(bucket, 0);
    host_.wait();
    return static_cast<const std::byte*>(bucket.data);
  };
  for_buckets([&](const Tensor& bucket, std::size_t begin, std::size_t, std::size_t, std::size_t) {
    const std::byte* values = send(bucket, whole ? whole->values : nullptr, begin);
    copy_to_device(queue, memory_.values.data() + begin, values, bucket.bytes());
  });
  const auto scatter_moment = [&](auto& shard, const std::byte* source) {
    for_buckets([&](const Tensor& bucket, std::size_t begin, std::size_t mine, std::size_t moment,
                    std::size_t bytes) {
      const std::byte* scratch = send(bucket, source, begin);
      copy_to_device(queue, shard.data() + moment, scratch + mine, bytes);
    });
  };
  scatter_moment(memory_.m, whole ? whole->m : nullptr);
  scatter_moment(memory_.v, whole ? whole->v : nullptr);
}

std::int64_t shared_micro_batch(std::int64_t rows, int ranks, std::int64_t wanted) {
  if (ranks > rows)
    throw Error(concat("a batch of ", rows, " windows cannot be shared by ", ranks,
                       " ranks; start at most ", rows, ", or raise training.batch_tokens"),
                ExitCode::usage);
  std::int64_t rows_each = std::min(wanted, rows / ranks);
  while (rows % rows_each != 0) --rows_each;
  return rows_each;
}

}  // namespace metascale
