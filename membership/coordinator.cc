#include "troupe/membership/coordinator.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"

namespace troupe {
namespace {

std::shared_ptr<const ClusterState> Decode(const ValuePtr& value) {
  absl::StatusOr<ClusterState> state = StateOf(*value);
  if (!state.ok()) return nullptr;
  return std::make_shared<const ClusterState>(*std::move(state));
}

}  // namespace

Coordinator::Coordinator(RegisterProposer proposer, CoordinatorOptions options)
    : options_(options), proposer_(std::move(proposer)), map_(Decode(proposer_.known())) {}

bool Coordinator::IsWaiting(AskerId asker, uint64_t id) const {
  auto same = [&](const Waiting& w) { return w.asker == asker && w.item.id == id; };
  return std::any_of(queue_.begin(), queue_.end(), same) ||
         std::any_of(batch_.begin(), batch_.end(), same);
}

// A death does not wait behind hundreds of copies that catch up.
void Coordinator::Enqueue(Waiting waiting) {
  auto urgent = [](const Waiting& w) {
    return w.item.command && (std::holds_alternative<Fence>(*w.item.command) ||
                              std::holds_alternative<Register>(*w.item.command) ||
                              std::holds_alternative<Unfence>(*w.item.command));
  };
  auto at = urgent(waiting) ? std::find_if_not(queue_.begin(), queue_.end(), urgent) : queue_.end();
  queue_.insert(at, std::move(waiting));
}

Coordinator::Effects Coordinator::OnCommands(absl::Time now, AskerId asker,
                                             std::vector<CommandItem> items) {
  Effects out;
  for (CommandItem& item : items) {
    if (IsWaiting(asker, item.id)) continue;  // Asked again: one answer is enough.
    if (stopped_) {
      out.answers.push_back(
          {asker, {item.id, 0, absl::UnavailableError("this node drains: ask another voter")}});
    } else if (queue_.size() >= options_.queue_max) {
      out.answers.push_back({asker,
                             {item.id, 0,
                              absl::ResourceExhaustedError(absl::StrCat(
                                  options_.queue_max, " commands are waiting already"))}});
    } else {
      Enqueue({asker, std::move(item)});
    }
  }
  if (!queue_.empty() && !proposer_.busy() && gather_until_ == absl::InfiniteFuture()) {
    gather_until_ = now + std::min(options_.gather, absl::Milliseconds(10));
  }
  if (now >= gather_until_) StartBatch(now, out);
  return out;
}

void Coordinator::StartBatch(absl::Time now, Effects& out) {
  gather_until_ = absl::InfiniteFuture();
  if (proposer_.busy() || queue_.empty()) return;
  size_t count = std::min(queue_.size(), options_.batch_max);
  batch_.assign(std::make_move_iterator(queue_.begin()),
                std::make_move_iterator(queue_.begin() + static_cast<ptrdiff_t>(count)));
  queue_.erase(queue_.begin(), queue_.begin() + static_cast<ptrdiff_t>(count));
  verdicts_.clear();
  auto reads = [](const Waiting& waiting) { return !waiting.item.command; };
  if (options_.mutations->read_without_quorum && std::all_of(batch_.begin(), batch_.end(), reads)) {
    verdicts_.assign(batch_.size(), absl::OkStatus());
    return EndBatch(proposer_.known(), out);
  }
  Perform(now,
          proposer_.Start(now, now + options_.patience,
                          [this](const ValuePtr& base) { return Judge(base); }),
          out);
}

std::shared_ptr<const ClusterState> Coordinator::StateOfBase(const ValuePtr& base) {
  if (proposed_ == base) return proposed_state_;
  return Decode(base);
}

// Applies the batch to `base`, one command after the other. A change of voters ends it: two of them
// never happen in one value (P2.4).
ValuePtr Coordinator::Judge(const ValuePtr& base) {
  verdicts_.clear();
  std::shared_ptr<const ClusterState> start = StateOfBase(base);
  if (start == nullptr) {
    verdicts_.assign(batch_.size(),
                     absl::UnavailableError("this program cannot read the register's value"));
    return base;
  }
  ClusterState state = *start;
  for (const Waiting& waiting : batch_) {
    if (!waiting.item.command) {
      verdicts_.push_back(absl::OkStatus());
      continue;
    }
    absl::StatusOr<Applied> applied = Apply(state, *waiting.item.command, *options_.mutations);
    verdicts_.push_back(applied.status());
    if (applied.ok() && applied->changed) state = std::move(applied->state);
    if (options_.mutations->two_voter_changes) continue;
    if (state.voters != start->voters || state.pending != start->pending) break;
  }
  proposed_ = base;
  proposed_state_ = start;
  if (state.version == start->version) return base;
  proposed_ = ValueOf(state);
  proposed_state_ = std::make_shared<const ClusterState>(std::move(state));
  return proposed_;
}

Coordinator::Effects Coordinator::OnReply(absl::Time now, const VoterId& from,
                                          const VoterReply& reply) {
  Effects out;
  Perform(now, proposer_.OnReply(now, from, reply), out);
  return out;
}

Coordinator::Effects Coordinator::Tick(absl::Time now) {
  Effects out;
  if (proposer_.busy() && now >= proposer_.wake()) Perform(now, proposer_.Tick(now), out);
  if (now >= gather_until_) StartBatch(now, out);
  return out;
}

absl::Time Coordinator::wake() const { return std::min(gather_until_, proposer_.wake()); }

void Coordinator::Perform(absl::Time now, RegisterProposer::Effects effects, Effects& out) {
  std::move(effects.send.begin(), effects.send.end(), std::back_inserter(out.send));
  NoticeMap(out);
  if (!effects.outcome) return;
  EndBatch(*effects.outcome, out);
  StartBatch(now, out);
}

void Coordinator::NoticeMap(Effects& out) {
  const ValuePtr& known = proposer_.known();
  if (map_ != nullptr && known->version <= map_->version) return;
  std::shared_ptr<const ClusterState> state = StateOfBase(known);
  if (state == nullptr) return;
  map_ = state;
  out.map = std::move(state);
}

void Coordinator::EndBatch(const absl::StatusOr<ValuePtr>& outcome, Effects& out) {
  size_t judged = outcome.ok() ? verdicts_.size() : batch_.size();
  for (size_t i = 0; i < judged; ++i) {
    const Waiting& waiting = batch_[i];
    if (outcome.ok()) {
      out.answers.push_back(
          {waiting.asker, {waiting.item.id, (*outcome)->version, std::move(verdicts_[i])}});
    } else {
      absl::Status unknown = absl::UnavailableError(outcome.status().message());
      out.answers.push_back({waiting.asker, {waiting.item.id, 0, std::move(unknown)}});
    }
  }
  queue_.insert(queue_.begin(),
                std::make_move_iterator(batch_.begin() + static_cast<ptrdiff_t>(judged)),
                std::make_move_iterator(batch_.end()));
  batch_.clear();
  verdicts_.clear();
  std::erase_if(out.answers, [](const Answer& answer) { return answer.asker == kNobody; });
}

void Coordinator::OnMap(const ClusterState& map) {
  if (map_ != nullptr && map.version <= map_->version) return;
  map_ = std::make_shared<const ClusterState>(map);
  proposed_ = ValueOf(map);
  proposed_state_ = map_;
  proposer_.Learn(proposed_);
}

void Coordinator::Forget(AskerId asker) {
  std::erase_if(queue_, [&](const Waiting& waiting) { return waiting.asker == asker; });
  for (Waiting& waiting : batch_) {
    if (waiting.asker == asker) waiting.asker = kNobody;
  }
}

Coordinator::Effects Coordinator::StopProposing(absl::Time) {
  Effects out;
  stopped_ = true;
  gather_until_ = absl::InfiniteFuture();
  for (Waiting& waiting : std::exchange(queue_, {})) {
    out.answers.push_back(
        {waiting.asker,
         {waiting.item.id, 0, absl::UnavailableError("this node drains: ask another voter")}});
  }
  return out;
}

std::vector<VoterId> CoordinatorOrder(const ClusterState& map, std::span<const VoterView> views) {
  uint64_t newest = 0;
  auto view_of = [&](const VoterId& id) {
    auto at = std::find_if(views.begin(), views.end(),
                           [&](const VoterView& view) { return view.id == id; });
    return at == views.end() ? VoterView{id, VoterView::Health::kGone, 0} : *at;
  };
  auto serves = [&](const VoterView& view) {
    const NodeEntry* node = map.FindNode(view.id.node);
    return view.health == VoterView::Health::kAlive && node != nullptr &&
           node->state == NodeState::kUp;
  };
  for (const VoterId& id : map.voters) {
    VoterView view = view_of(id);
    if (serves(view)) newest = std::max(newest, view.map_version);
  }
  auto rank = [&](const VoterId& id) {
    VoterView view = view_of(id);
    const NodeEntry* node = map.FindNode(id.node);
    bool gone = view.health == VoterView::Health::kGone;
    bool fenced =
        node == nullptr || (node->state != NodeState::kUp && node->state != NodeState::kDraining);
    bool draining = node != nullptr && node->state == NodeState::kDraining;
    bool behind = serves(view) && view.map_version < newest;
    return std::tuple(gone, fenced, draining, behind, id);
  };
  std::vector<VoterId> order = map.voters;
  std::sort(order.begin(), order.end(),
            [&](const VoterId& a, const VoterId& b) { return rank(a) < rank(b); });
  return order;
}

}  // namespace troupe
