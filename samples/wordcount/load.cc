#include "load.h"

#include <algorithm>

#include "troupe/rpc/status.h"

namespace {

constexpr absl::Duration kCallLimit = absl::Seconds(60);

}  // namespace

Load::Load(troupe::Host& host, troupe::Client& client, const std::vector<std::string>& words,
           size_t in_flight)
    : host_(host),
      client_(client),
      words_(words),
      in_flight_max_(in_flight),
      began_(in_flight, absl::InfiniteFuture()),
      done_(nullptr),
      tasks_(errors_handler_) {
  for (size_t slot = in_flight; slot-- > 0;) free_slots_.push_back(slot);
  auto paf = kj::newPromiseAndFulfiller<void>();
  done_fulfiller_ = kj::mv(paf.fulfiller);
  done_ = paf.promise.fork();
}

void Load::Start() { Fill(); }

Word::Ref& Load::RefOf(const std::string& word) {
  auto it = refs_.find(word);
  if (it == refs_.end()) {
    it = refs_.emplace(word, client_.Get<Word>(word, {.deadline = kCallLimit})).first;
  }
  return it->second;
}

void Load::Fill() {
  while (!free_slots_.empty() && !finished_) {
    if (next_ == words_.size()) {
      ++passes_;
      next_ = 0;
      if (stopping_) {
        finished_ = true;
        break;
      }
    }
    Send(next_++);
  }
  if (finished_ && free_slots_.size() == in_flight_max_) done_fulfiller_->fulfill();
}

void Load::Send(size_t word) {
  const size_t slot = free_slots_.back();
  free_slots_.pop_back();
  began_[slot] = host_.clock().Now();
  auto answer = RefOf(words_[word]).Add().AsPromise();
  tasks_.add(answer.then([this, slot](uint64_t) { Answered(slot, nullptr); },
                         [this, slot](kj::Exception&& e) { Answered(slot, kj::mv(e)); }));
}

void Load::Answered(size_t slot, kj::Maybe<kj::Exception> failure) {
  const absl::Time now = host_.clock().Now();
  if (now > kill_) gap_ = std::max(gap_, now - std::max(began_[slot], kill_));
  began_[slot] = absl::InfiniteFuture();
  free_slots_.push_back(slot);
  KJ_IF_MAYBE (e, failure) {
    ++errors_;
    last_error_ = troupe::Words(*e);
  } else {
    ++answered_;
  }
  Fill();
}

void Load::MarkKill(absl::Time at) {
  kill_ = at;
  gap_ = absl::ZeroDuration();
}

absl::Duration Load::GapSinceKill() const {
  absl::Duration gap = gap_;
  const absl::Time now = host_.clock().Now();
  for (absl::Time began : began_) {
    if (began < now && now > kill_) gap = std::max(gap, now - std::max(began, kill_));
  }
  return gap;
}
