#include "troupe/actors/loop_watch.h"

#include "absl/strings/str_join.h"

namespace troupe {
namespace {

constexpr char kAdvice[] = "blocking and long work belongs into Offload()";

}  // namespace

LoopWatch::Hold LoopWatch::Holding(absl::Time now) const {
  const auto* method = method_.load(std::memory_order_relaxed);
  const auto beat = absl::FromUnixNanos(beat_.load(std::memory_order_relaxed));
  return {now - beat, method == nullptr ? "" : method->name};
}

void LoopWatch::Tell(absl::Duration held, const std::string& by) {
  told_ = true;
  host_.log().Warning("a loop was held up",
                      {{"ms", absl::ToInt64Milliseconds(held)}, {"by", by}, {"advice", kAdvice}});
}

// A busy computer does the same, so without anyone who could have been it nothing is said.
void LoopWatch::TellLate(absl::Duration late, const std::vector<std::string>& open) {
  if (open.empty()) return;
  host_.log().Warning("a loop was held up, perhaps by a method that went on after a wait",
                      {{"ms", absl::ToInt64Milliseconds(late)},
                       {"one_of", absl::StrJoin(open, ", ")},
                       {"advice", kAdvice}});
}

}  // namespace troupe
