// Coordinator: takes commands, batches them, and has the register choose a value that shows them.
//
// Pure: driven by OnCommands, OnReply, OnMap and Tick, it returns what to send and whom to answer.
// Not thread-safe; one per voter. Any voter that is asked proposes: that there is usually one is
// the askers' doing (CoordinatorOrder, CommandDispatcher), and only makes it fast (docs/protocol.md
// P2.5, P2.7).
//
// What gathers while a proposal is under way is the next batch; an idle coordinator waits for
// nobody, or for `gather`.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "troupe/membership/register_proposer.h"

namespace troupe {

struct CoordinatorOptions {
  absl::Duration gather = absl::ZeroDuration();  // At most 10 ms: how long a first command waits.
  absl::Duration patience = absl::Seconds(2);    // For one proposal; then its askers are told.
  size_t batch_max = 64;                         // Commands in one change of the value.
  const MembershipMutations* mutations = &kNoMembershipMutations;  // In production: none.
  size_t queue_max = 4096;  // Beyond it askers are told ResourceExhausted.
};

// One wish of one asker. Without a command: only to have the map confirmed by a quorum (a read).
struct CommandItem {
  uint64_t id = 0;  // Of the asker's choice; comes back with the answer.
  std::optional<Command> command;
};

// `version` is that of the chosen value in which the answer holds; 0 when that is not known.
// `status` of a command: as Apply's. Unavailable, ResourceExhausted and DeadlineExceeded say
// nothing about the command: ask again, here or elsewhere.
struct CommandAnswer {
  uint64_t id = 0;
  uint64_t version = 0;
  absl::Status status;
};

class Coordinator {
 public:
  using AskerId = uint64_t;  // The shell's handle of a link, or of this node itself; not 0.
  static constexpr AskerId kNobody = 0;

  explicit Coordinator(RegisterProposer proposer, CoordinatorOptions options = {});
  Coordinator(const Coordinator&) = delete;  // Its proposer calls back into it.
  Coordinator& operator=(const Coordinator&) = delete;

  struct Answer {
    AskerId asker = 0;
    CommandAnswer answer;
  };
  struct Effects {
    std::vector<RegisterProposer::Send> send;
    std::vector<Answer> answers;
    std::shared_ptr<const ClusterState> map;  // Set when a newer chosen value became known.
  };

  Effects OnCommands(absl::Time now, AskerId asker, std::vector<CommandItem> items);
  Effects OnReply(absl::Time now, const VoterId& from, const VoterReply& reply);
  Effects Tick(absl::Time now);  // At or after wake().
  absl::Time wake() const;
  // A chosen map that came from elsewhere.
  void OnMap(const ClusterState& map);
  // Its link broke: nobody waits for these answers. The commands under way go on.
  void Forget(AskerId asker);
  // A node that drains proposes no more: what waits, and what still comes, is sent to other voters.
  Effects StopProposing(absl::Time now);

  bool busy() const { return proposer_.busy(); }
  size_t queue_size() const { return queue_.size(); }
  const std::shared_ptr<const ClusterState>& map() const { return map_; }

 private:
  struct Waiting {
    AskerId asker;
    CommandItem item;
  };

  bool IsWaiting(AskerId asker, uint64_t id) const;
  void Enqueue(Waiting waiting);
  void StartBatch(absl::Time now, Effects& out);
  ValuePtr Judge(const ValuePtr& base);
  void Perform(absl::Time now, RegisterProposer::Effects effects, Effects& out);
  void EndBatch(const absl::StatusOr<ValuePtr>& outcome, Effects& out);
  void NoticeMap(Effects& out);
  std::shared_ptr<const ClusterState> StateOfBase(const ValuePtr& base);

  const CoordinatorOptions options_;
  RegisterProposer proposer_;
  std::deque<Waiting> queue_;
  std::vector<Waiting> batch_;          // Under way.
  std::vector<absl::Status> verdicts_;  // Of the first of batch_, by the last Judge.
  absl::Time gather_until_ = absl::InfiniteFuture();
  bool stopped_ = false;
  std::shared_ptr<const ClusterState> map_;  // The newest chosen value known; null: undecodable.
  // The value last proposed, with its decoded form, so that it is not decoded again when chosen.
  ValuePtr proposed_;
  std::shared_ptr<const ClusterState> proposed_state_;
};

// What gossip and the links know of a voter now.
struct VoterView {
  VoterId id;
  enum class Health : uint8_t {
    kAlive,  // Suspicion alone changes nothing.
    kGone,   // Dead, left, or strong evidence.
  } health = Health::kAlive;
  uint64_t map_version = 0;
};

// Whom to ask, best first: voters that are alive and not fenced, of the highest map version, by id;
// then the others alive; draining ones after them. Voters gone are last, not left out.
std::vector<VoterId> CoordinatorOrder(const ClusterState& map, std::span<const VoterView> views);

}  // namespace troupe
