// Diaries: actors that live shortly and badly, and clients that know what each may hold all the
// same.
//
// A diary is a counter that is let go when idle or when it asks for it, is erased, fails its calls,
// its activation, its timer and its reminder, and rings a bell at another actor, the tower, each
// second. What clients see of its value must be linearizable, erasing being a reset; each due time
// must be served once, in order, and heard at the tower once, unless its turn failed.
//
// Threads: the cluster's. Goes before the cluster does.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kj/async.h"
#include "troupe/actors/registry.h"
#include "troupe/runtime/random.h"
#include "troupe/sim/cluster.h"
#include "troupe/sim/diary.capnp.h"
#include "troupe/sim/history.h"

namespace troupe::sim {

enum class DiaryChoice : uint8_t { kBySeed, kNever, kAlways };

// How all diaries of a run live; drawn from the seed. Their objects share it.
struct DiaryHabits {
  explicit DiaryHabits(Random random);
  // Null: the run has no diaries. From a stream of its own: the others are what they were.
  static std::shared_ptr<DiaryHabits> Draw(uint64_t seed, DiaryChoice choice);

  bool Fails() { return random.Chance(failures); }

  ActorTypeOptions options;
  Random random;
  double failures = 0;  // Of turns that no client asked for.
  // Reminders' turns that failed: the calls that they had made may come again.
  std::set<std::pair<std::string, int64_t>> failed;
};

class Diaries {
 public:
  using Problem = std::function<void(const std::string& checker, const std::string& what)>;

  static void Register(Registry& registry, std::shared_ptr<DiaryHabits> habits);

  // Adds its clients to the cluster.
  Diaries(Cluster& cluster, Random random, std::shared_ptr<DiaryHabits> habits, Problem problem);
  ~Diaries() noexcept(false);

  void Start();
  // After healing, while `until` lets time pass (until it is true, or the limit): ends, and looks
  // at all that diaries hold until they serve their reminders on time.
  using Until = std::function<bool(std::function<bool()> done, absl::Duration limit)>;
  void Finish(const Until& until);
  const History& history() const { return history_; }

 private:
  struct Told {
    std::vector<int64_t> served;
    std::vector<std::pair<std::string, int64_t>> rung;
  };
  struct Call {
    std::string client, key;
    bool fails = false;
    History::Number number = 0;
  };

  void Ask(const std::string& key);
  // No more calls, and nothing fails any more.
  void Stop();
  // Whether all serve their reminders on time. What they must not hold is a problem.
  bool Judge(bool last);
  void Loop(const std::string& client);
  void Next(const std::string& client);
  // Several calls at once, of which one may ask the diary to go.
  void Add(const std::string& client, const std::string& key, Diary::Client diary);
  std::string AnyKey();
  Call Begin(const std::string& client, const std::string& key, const std::string& call,
             uint64_t by);
  void Watch(const Call& call, kj::Promise<void> promise);
  void Returned(const Call& call, uint64_t value, kj::StringPtr wrong);
  void Ended(const Call& call, const kj::Exception& exception);
  void Wrong(const std::string& key, kj::StringPtr wrong);

  Cluster& cluster_;
  Random random_;
  const std::shared_ptr<DiaryHabits> habits_;
  Problem problem_;
  History history_;
  std::map<int, int> calls_;  // By diary; after some there is a new one in its place.
  std::set<std::string> keys_;
  std::map<std::string, Told> told_;
  uint64_t next_order_ = 1;
  size_t open_ = 0;
  bool stopped_ = false;
  struct Errors final : kj::TaskSet::ErrorHandler {
    explicit Errors(Diaries& d) : diaries(d) {}
    void taskFailed(kj::Exception&& exception) override;
    Diaries& diaries;
  } errors_{*this};
  kj::TaskSet tasks_;
};

}  // namespace troupe::sim
