#include "troupe/sim/diary.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "troupe/rpc/status.h"
#include "troupe/sim/diary_actor.h"

namespace troupe::sim {
namespace {

constexpr int kDiaries = 2;
constexpr int kCallsMax = 150;  // Of one diary; judging takes time in them.
constexpr size_t kOpenMax = 60;
constexpr absl::Duration kPause = absl::Milliseconds(50);  // Between two calls of one loop.
constexpr absl::Duration kDeadline = absl::Seconds(20);
constexpr absl::Duration kHastyDeadline = absl::Seconds(1);
constexpr absl::Duration kLate = absl::Seconds(3);  // A reminder, on a cluster that is well.
constexpr int kLooksMax = 15;                       // Until they have made up for what they missed.
const char* const kClients[] = {"diarist1", "diarist2"};

kj::Duration ToKj(absl::Duration d) { return absl::ToInt64Nanoseconds(d) * kj::NANOSECONDS; }

}  // namespace

DiaryHabits::DiaryHabits(Random r) : random(r) {
  const absl::Duration idle[] = {absl::Milliseconds(60), absl::Milliseconds(300), absl::Seconds(2),
                                 absl::ZeroDuration()};
  options.idle_timeout = idle[random.Below(4)];
  failures = random.Chance(0.5) ? 0.05 : 0;
  auto& supervision = options.supervision;
  if (random.Chance(0.4)) supervision.directive = Supervision::Directive::kResume;
  supervision.window = absl::Seconds(10);
  supervision.pause_min = absl::Milliseconds(20);
  supervision.pause_max = absl::Milliseconds(200);
  supervision.suspended_for = absl::Seconds(1);
}

std::shared_ptr<DiaryHabits> DiaryHabits::Draw(uint64_t seed, DiaryChoice choice) {
  Random random = Random(seed).Fork("diaries");
  const bool drawn = random.Chance(0.5);
  if (choice == DiaryChoice::kNever || (choice == DiaryChoice::kBySeed && !drawn)) return nullptr;
  return std::make_shared<DiaryHabits>(random);
}

void Diaries::Register(Registry& registry, std::shared_ptr<DiaryHabits> habits) {
  registry.Host<DiaryActor>([habits] { return kj::heap<DiaryActor>(habits); }, habits->options);
}

Diaries::Diaries(Cluster& cluster, Random random, std::shared_ptr<DiaryHabits> habits,
                 Problem problem)
    : cluster_(cluster),
      random_(random),
      habits_(std::move(habits)),
      problem_(std::move(problem)),
      tasks_(errors_) {
  for (const char* client : kClients) cluster_.AddClient(client);
}

Diaries::~Diaries() noexcept(false) = default;

void Diaries::Errors::taskFailed(kj::Exception&& exception) {
  diaries.problem_("diaries", absl::StrCat("the diaries' client failed: ", Words(exception)));
}

void Diaries::Start() {
  for (const char* client : kClients) {
    for (int i = 0; i < 2; ++i) Loop(client);
  }
}

void Diaries::Stop() {
  stopped_ = true;
  habits_->failures = 0;
}

void Diaries::Loop(const std::string& client) {
  if (stopped_) return;
  auto& timer = cluster_.world().machine(client).control().timer();
  tasks_.add(timer.afterDelay(ToKj(kPause * (0.2 + 1.6 * random_.Unit()))).then([this, client] {
    if (stopped_) return;
    if (open_ < kOpenMax) Next(client);
    Loop(client);
  }));
}

std::string Diaries::AnyKey() {
  const int diary = static_cast<int>(random_.Below(kDiaries));
  const auto key = absl::StrCat("diary", diary, ".", calls_[diary]++ / kCallsMax);
  keys_.insert(key);
  return key;
}

void Diaries::Next(const std::string& client) {
  const std::string key = AnyKey();
  auto diary = cluster_.client(client).Get<Diary>(
      key, {.deadline = random_.Chance(0.1) ? kHastyDeadline : kDeadline});
  const double kind = random_.Unit();
  const uint64_t by = 1 + random_.Below(1000);
  if (kind < 0.4) {
    auto call = Begin(client, key, "get", 0);
    Watch(call, diary.lookRequest().send().then([this, call](auto&& reply) {
      Returned(call, reply.getValue(), reply.getWrong());
    }));
  } else if (kind < 0.9) {
    Add(client, key, diary);
  } else if (kind < 0.94) {
    auto call = Begin(client, key, "erase", 0);
    Watch(call, diary.eraseRequest().send().then([this, call](auto&&) {
      --open_;
      history_.Return(cluster_.world().Now(), call.number, "");
    }));
  } else {
    auto call = Begin(client, key, "bump", by);
    call.fails = true;
    auto request = diary.failRequest();
    request.setBy(by);
    Watch(call, request.send().then([this, call](auto&&) {
      --open_;
      problem_("failed turn", absl::StrCat(call.key, ": a call that fails was answered"));
    }));
  }
}

void Diaries::Add(const std::string& client, const std::string& key, Diary::Client diary) {
  const uint64_t count = random_.Chance(0.2) ? 4 : 1;
  const uint64_t parting = random_.Below(3 * count);
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t by = 1 + random_.Below(1000);
    auto call = Begin(client, key, "add", by);
    auto request = diary.addRequest();
    request.setBy(by);
    request.setParting(i == parting);
    request.setClient(client);
    request.setOrder(next_order_++);
    Watch(call, request.send().then([this, call](auto&& reply) {
      Returned(call, reply.getValue(), reply.getWrong());
    }));
  }
}

Diaries::Call Diaries::Begin(const std::string& client, const std::string& key,
                             const std::string& call, uint64_t by) {
  std::vector<std::string> arguments;
  if (by != 0) arguments.push_back(absl::StrCat(by));
  ++open_;
  return {client, key, false,
          history_.Invoke(cluster_.world().Now(), client, key, call, std::move(arguments))};
}

void Diaries::Watch(const Call& call, kj::Promise<void> promise) {
  tasks_.add(promise.then([] {}, [this, call](kj::Exception&& e) { Ended(call, e); }));
}

void Diaries::Returned(const Call& call, uint64_t value, kj::StringPtr wrong) {
  --open_;
  history_.Return(cluster_.world().Now(), call.number, absl::StrCat(value));
  Wrong(call.key, wrong);
}

void Diaries::Wrong(const std::string& key, kj::StringPtr wrong) {
  if (wrong.size() == 0) return;
  problem_("diaries", absl::StrCat(key, ": ", wrong.cStr()));
}

// What errors say of whether a call took effect (docs/semantics.md).
void Diaries::Ended(const Call& call, const kj::Exception& exception) {
  --open_;
  const absl::Time now = cluster_.world().Now();
  const std::string words = Words(exception);
  const auto says = [&words](const char* text) { return words.find(text) != std::string::npos; };
  using Directive = Supervision::Directive;
  if (call.fails && says("told to fail") && says("a call")) {
    if (habits_->options.supervision.directive == Directive::kResume) {
      return history_.Return(now, call.number, "");
    }
    return history_.Refuse(now, call.number);
  }
  const bool nothing = says("could not go on") || says("is suspended") ||
                       says("did not get its turn") || says("waited for its turn") ||
                       says("mailbox of") || says("a later call of its caller has begun");
  if (nothing) return history_.Refuse(now, call.number);
  if (exception.getType() != kj::Exception::Type::FAILED &&
      exception.getType() != kj::Exception::Type::UNIMPLEMENTED) {
    return;
  }
  if (says("StateLost")) return;  // Judged by Invariants.
  problem_("exactly once", absl::StrCat(call.client, " at ", call.key, ": ", words));
}

// ---- The end

void Diaries::Finish(const Until& until) {
  Stop();
  const auto idle = [this] { return open_ == 0; };
  until([] { return false; }, 2 * habits_->options.supervision.suspended_for);  // They pass.
  for (int i = 1; i <= kLooksMax; ++i) {
    if (!until(idle, absl::Seconds(60))) return problem_("healing", "calls of diaries are open");
    told_.clear();
    for (const auto& key : keys_) Ask(key);
    until(idle, absl::Seconds(60));
    Ask(kTower);  // It has heard of all that was seen before.
    if (!until(idle, absl::Seconds(60))) return problem_("healing", "calls of diaries are open");
    if (Judge(i == kLooksMax)) return;
    until([] { return false; }, absl::Seconds(2));
  }
}

void Diaries::Ask(const std::string& key) {
  ++open_;
  auto request = cluster_.client(kClients[0]).Get<Diary>(key).tellRequest();
  tasks_.add(request.send().then(
      [this, key](auto&& reply) {
        --open_;
        auto state = reply.getState();
        Wrong(key, state.getWrong());
        auto& told = told_[key];
        for (int64_t due : state.getServed()) told.served.push_back(due);
        for (auto ring : state.getRung()) {
          told.rung.push_back({ring.getDiary().cStr(), ring.getDue()});
        }
      },
      [this, key](kj::Exception&& e) {
        --open_;
        problem_("healing", absl::StrCat(key, " cannot be asked after healing: ", Words(e)));
      }));
}

bool Diaries::Judge(bool last) {
  // Clocks are up to 50 ms apart.
  auto& clock = cluster_.world().machine(kClients[0]).control().clock();
  const int64_t late = absl::ToUnixNanos(clock.WallNow() - kLate);
  const auto& tower = told_[kTower].rung;
  const std::set<std::pair<std::string, int64_t>> rung(tower.begin(), tower.end());
  const bool resumes = habits_->options.supervision.directive == Supervision::Directive::kResume;
  bool on_time = true;
  for (const auto& [key, told] : told_) {
    if (key == kTower) continue;
    if (told.served.empty() || told.served.back() < late) {
      on_time = false;
      if (last) problem_("diaries", absl::StrCat(key, " serves none, or late"));
    }
    for (int64_t due : told.served) {
      if (resumes || rung.contains({key, due})) continue;
      problem_("diaries", absl::StrCat(key, " has served ", due, ", and the tower has not heard"));
    }
  }
  return on_time;
}

}  // namespace troupe::sim
