// EvidenceBoard: what nodes report of each other, and whom that shows to be dead.
//
// Pure; not thread-safe; one per voter. Reports are gathered for a moment, and what is shown waits
// a little longer while others are half shown: so a rack that fails is one change of the map, and a
// link that flaps is none. Source: docs/protocol.md P5; the cut after Suresh et al., "Stable and
// Consistent Membership at Scale with Rapid", 2018, with 1 as its low mark and 2 as its high one.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "troupe/membership/cluster_state.h"

namespace troupe {

enum class Sighting : uint8_t {
  kLost,       // An established link of the observer ended.
  kRefused,    // A fresh socket of the observer was told that nobody is there.
  kExited,     // Proof.
  kDead,       // The failure detector's verdict.
  kSuspected,  // The failure detector's doubt: shows nothing, but a cut may wait for its outcome.
};

struct EvidenceReport {
  std::string observer;
  std::string subject;
  Boot boot = 0;  // Of the subject.
  Sighting kind = Sighting::kLost;
};

struct EvidenceOptions {
  absl::Duration gather = absl::Milliseconds(10);  // From the first report that tells, to the cut.
  absl::Duration window = absl::Seconds(2);        // Observers agree within it, or do not.
  absl::Duration again = absl::Milliseconds(200);  // Until a fence that was not chosen is repeated.
  // What links have shown waits so long for others whose links broke too: an observer that dials
  // needs as long to complete what it saw.
  absl::Duration hold_links = absl::Milliseconds(100);
  // What silence has shown waits so long for suspects: one least suspicion.
  absl::Duration hold_silent = absl::Milliseconds(600);
  bool trust_refused = false;
};

class EvidenceBoard {
 public:
  // When anything last came from that node, as this node saw it.
  using LastSign = std::function<absl::Time(const std::string& node)>;

  explicit EvidenceBoard(EvidenceOptions options = {}) : options_(options) {}

  // Reports of boots that are not current and alive in the map are dropped.
  void Add(absl::Time now, const ClusterState& map, const EvidenceReport& report);

  // What the reports amount to. `kShown` is enough to fence, now.
  enum class Verdict : uint8_t { kNothing, kShown, kProven };
  Verdict Judge(absl::Time now, const ClusterState& map, const std::string& node,
                const LastSign& last_sign) const;

  // Those to fence at this moment; empty while the cut is gathering or held back. Proof is never
  // held back. Repeats what the map does not show after a while.
  std::vector<Command> TakeCut(absl::Time now, const ClusterState& map, const LastSign& last_sign);
  absl::Time wake() const { return wake_; }
  void Again(absl::Time at) { wake_ = std::min(wake_, at); }  // What was cut is not fenced yet.

  // Drops what the map has settled.
  void OnMap(const ClusterState& map);
  // It was heard after all: only proof stands.
  void Refute(const std::string& node);

 private:
  struct Subject {
    Boot boot = 0;
    absl::Time first = absl::InfinitePast();  // Report, of those within the window.
    std::map<std::string, absl::Time> lost;   // By observer.
    std::map<std::string, absl::Time> refused;
    absl::Time last =
        absl::InfinitePast();  // Report; after a window without one the next is first.
    absl::Time shown = absl::InfiniteFuture();  // Since when there was enough to fence it.
    bool exited = false;
    bool dead = false;
    bool suspected = false;
  };
  // What others may hold back what a subject has shown.
  enum class Grounds : uint8_t { kProof, kLinks, kSilence };
  static Grounds GroundsOf(Verdict verdict, const Subject& subject);
  absl::Duration HoldOf(Grounds grounds) const;
  bool IsHeld(absl::Time now, const ClusterState& map, Grounds grounds,
              const LastSign& last_sign) const;

  bool AgreedByObservers(absl::Time now, const ClusterState& map, const std::string& node,
                         const Subject& subject) const;
  bool MostAreLost(absl::Time now, const ClusterState& map) const;

  const EvidenceOptions options_;
  std::map<std::string, Subject> subjects_;  // By name; at most one per node of the map.
  absl::Time wake_ = absl::InfiniteFuture();
};

}  // namespace troupe
