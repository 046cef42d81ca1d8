#include "troupe/sim/workload.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "troupe/actors/actor.h"
#include "troupe/actors/shard_of.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/task.h"

namespace troupe::sim {
namespace {

constexpr size_t kDescribedMax = 20;
constexpr int kBurst = 6;
constexpr absl::Duration kLongDeadline = absl::Seconds(30);
constexpr absl::Duration kShortDeadline = absl::Seconds(2);
const std::string kFirst = "client1", kSecond = "client2", kHasty = "client3";

class CellActor final : public Actor<Cell, CellState> {
  kj::Promise<void> add(AddContext call) override {
    call.getResults().setValue(value_ += call.getParams().getBy());
    return kj::READY_NOW;
  }
  kj::Promise<void> get(GetContext call) override {
    call.getResults().setValue(value_);
    return kj::READY_NOW;
  }
  kj::Promise<void> write(WriteContext call) override {
    value_ = call.getParams().getValue();
    return kj::READY_NOW;
  }
  kj::Promise<void> addTo(AddToContext call) override { return AddTo(call); }
  Task<void> AddTo(AddToContext call) {
    value_ += call.getParams().getBy();
    auto request = context().Get<Cell>(call.getParams().getOther().cStr()).addRequest();
    request.setBy(call.getParams().getBy());
    auto sent = request.send();
    auto reply = co_await sent;
    call.getResults().setValue(value_);
  }
  void Save(CellState::Builder out) const override { out.setValue(value_); }
  void Load(CellState::Reader in) override { value_ = in.getValue(); }

  uint64_t value_ = 0;
};

kj::Duration ToKj(absl::Duration d) { return absl::ToInt64Nanoseconds(d) * kj::NANOSECONDS; }

std::string Key(const char* what, int number) { return absl::StrCat(what, number); }

// Names of the models of linearizability.h: a register is read, a counter got.
std::string HistoryCall(const std::string& key, const std::string& call) {
  return key.starts_with("register") && call == "get" ? "read" : call;
}
std::string HistoryValue(const std::string& key, uint64_t value) {
  return key.starts_with("register") && value == 0 ? "" : absl::StrCat(value);
}

}  // namespace

void Workload::Register(Registry& registry) { registry.Host<CellActor>(); }

const std::vector<std::string>& Workload::client_names() {
  static const std::vector<std::string> names = {kFirst, kSecond, kHasty};
  return names;
}

Workload::Workload(Cluster& cluster, Random random, WorkloadOptions options,
                   std::function<void(std::string)> problem)
    : cluster_(cluster),
      random_(random),
      options_(options),
      problem_(std::move(problem)),
      tasks_(errors_) {
  for (const auto& name : client_names()) cluster_.AddClient(name);
}

Workload::~Workload() noexcept(false) {}

void Workload::Errors::taskFailed(kj::Exception&& exception) {
  workload.problem_(absl::StrCat("the workload itself failed: ", Words(exception)));
}

void Workload::Start() {
  stopped_ = false;
  for (int i = 0; i < options_.counters; ++i) {
    CountLoop(i == 0 ? kHasty : kFirst, Key("counter", i));
    ReadLoop(Key("counter", i));
  }
  for (int i = 0; i < options_.registers; ++i) {
    for (const auto& client : client_names()) RegisterLoop(client, Key("register", i));
  }
  for (int i = 0; i < options_.pairs; ++i) PairLoop(i);
  BurstLoop(kFirst, "burst0");
  BurstLoop(kHasty, "burst1");
}

// ---- One call

Cell::Client Workload::Get(const std::string& client, const std::string& key) {
  return cluster_.client(client).Get<Cell>(
      key, {.deadline = client == kHasty ? kShortDeadline : kLongDeadline});
}

kj::Promise<uint64_t> Workload::Send(const std::string& client, const std::string& key,
                                     const std::string& call, uint64_t argument) {
  auto cell = Get(client, key);
  if (call == "get") {
    return cell.getRequest().send().then([](auto&& reply) { return reply.getValue(); });
  }
  if (call == "write") {
    auto request = cell.writeRequest();
    request.setValue(argument);
    return request.send().then([](auto&&) { return uint64_t{0}; });
  }
  if (call == "addTo") {
    auto request = cell.addToRequest();
    request.setOther(absl::StrCat("to", key.substr(4)));  // Of "from".
    request.setBy(argument);
    return request.send().then([](auto&& reply) { return reply.getValue(); });
  }
  auto request = cell.addRequest();
  request.setBy(argument);
  return request.send().then([](auto&& reply) { return reply.getValue(); });
}

void Workload::Call(const std::string& client, const std::string& key, const std::string& call,
                    uint64_t argument, Done done) {
  const absl::Time now = cluster_.world().Now();
  std::vector<std::string> arguments;
  if (call != "get") arguments.push_back(absl::StrCat(argument));
  const std::string object =
      absl::StrCat(key, lives_[key] == 0 ? "" : absl::StrCat("~", lives_[key]));
  const auto number = history_.Invoke(now, client, object, HistoryCall(key, call), arguments);
  const uint64_t id = next_call_++;
  open_.emplace(id, Open{client, key, call, now, number});
  tasks_.add(Send(client, key, call, argument)
                 .then([this, id, done](uint64_t value) { Returned(id, value, done); },
                       [this, id, done](kj::Exception&& e) { Failed(id, e, done); }));
}

void Workload::Returned(uint64_t id, uint64_t value, const Done& done) {
  auto open = open_.extract(id).mapped();
  ++answered_;
  history_.Return(cluster_.world().Now(), open.number,
                  open.call == "write" ? "" : HistoryValue(open.object, value));
  done(&value);
}

void Workload::Failed(uint64_t id, const kj::Exception& exception, const Done& done) {
  auto open = open_.extract(id).mapped();
  ++unknown_;
  // That state is lost is said; whether it may be is for the run to judge.
  const bool lost = Words(exception).find("StateLost") != std::string::npos;
  if (!lost && (exception.getType() == kj::Exception::Type::FAILED ||
                exception.getType() == kj::Exception::Type::UNIMPLEMENTED)) {
    problem_(absl::StrCat(open.client, ": ", open.call, " at ", open.object,
                          " failed: ", Words(exception)));
  }
  const absl::Duration took = cluster_.world().Now() - open.since;
  if (took > kLongDeadline + absl::Seconds(5)) {
    problem_(absl::StrCat(open.client, ": ", open.call, " at ", open.object, " ended only after ",
                          absl::FormatDuration(took)));
  }
  done(nullptr);
}

void Workload::Later(const std::string& client, std::function<void()> next) {
  if (stopped_) {
    --loops_;
    return;
  }
  const auto pause = options_.pause * (0.5 + random_.Unit());
  auto& timer = cluster_.world().machine(client).control().timer();
  tasks_.add(timer.afterDelay(ToKj(pause)).then([this, next = std::move(next)] {
    if (stopped_) {
      --loops_;
    } else {
      next();
    }
  }));
}

// ---- The loops. `loops_` counts those that have not ended.

// One writer: each answer is one more than the newest, or more by those of unknown outcome.
void Workload::CountLoop(const std::string& client, const std::string& key) {
  ++loops_;
  auto next = std::make_shared<std::function<void()>>();
  *next = [this, client, key, weak = std::weak_ptr(next)] {
    auto& counter = counters_[key];
    ++counter.asked;
    auto self = weak.lock();
    Call(client, key, "add", 1, [this, client, key, self, before = counter](auto* value) {
      auto& counter = counters_[key];
      if (value != nullptr && counter.life == before.life) {
        ++counter.done;
        if (*value <= before.newest || *value < counter.done || *value > counter.asked) {
          problem_(absl::StrCat(key, ": add answered ", *value, " after ", before.newest, ", of ",
                                counter.done, " answered and ", counter.asked, " asked"));
        }
        counter.newest = std::max(counter.newest, *value);
      }
      Later(client, [self] { (*self)(); });
    });
  };
  (*next)();
}

// No read is older than what was answered before it began.
void Workload::ReadLoop(const std::string& key) {
  ++loops_;
  auto next = std::make_shared<std::function<void()>>();
  *next = [this, key, weak = std::weak_ptr(next)] {
    auto self = weak.lock();
    const auto before = counters_[key];
    Call(kSecond, key, "get", 0, [this, key, self, before](auto* value) {
      auto& counter = counters_[key];
      if (value != nullptr && counter.life == before.life) {
        if (*value < before.newest || *value > counter.asked) {
          problem_(absl::StrCat(key, ": a read answered ", *value, "; ", before.newest,
                                " was answered before, ", counter.asked, " asked"));
        }
        counter.newest = std::max(counter.newest, *value);
      }
      Later(kSecond, [self] { (*self)(); });
    });
  };
  (*next)();
}

// Judged by the history.
void Workload::RegisterLoop(const std::string& client, const std::string& key) {
  ++loops_;
  auto next = std::make_shared<std::function<void()>>();
  *next = [this, client, key, weak = std::weak_ptr(next)] {
    auto self = weak.lock();
    auto done = [this, client, self](auto*) { Later(client, [self] { (*self)(); }); };
    if (random_.Chance(0.5)) {
      Call(client, key, "get", 0, done);
    } else {
      Call(client, key, "write", next_value_++, done);
    }
  };
  (*next)();
}

void Workload::PairLoop(int pair) {
  ++loops_;
  const std::string client = pair == 0 ? kHasty : kSecond, from = Key("from", pair);
  auto next = std::make_shared<std::function<void()>>();
  *next = [this, client, from, pair, weak = std::weak_ptr(next)] {
    auto self = weak.lock();
    auto& counter = counters_[from];
    ++counter.asked;
    ++counters_[Key("to", pair)].asked;
    Call(client, from, "addTo", 1, [this, client, from, pair, self, life = counter.life](auto* v) {
      auto &counter = counters_[from], &other = counters_[Key("to", pair)];
      if (v != nullptr && counter.life == life) {
        counter.newest = std::max(counter.newest, *v);
        ++counter.done;
        ++other.done;
      }
      Later(client, [self] { (*self)(); });
    });
  };
  (*next)();
}

// Several calls at once: they start in the order in which they were made.
void Workload::BurstLoop(const std::string& client, const std::string& key) {
  struct Burst {
    std::vector<uint64_t> answers = std::vector<uint64_t>(kBurst);
    int open = kBurst;
  };
  ++loops_;
  auto next = std::make_shared<std::function<void()>>();
  *next = [this, client, key, weak = std::weak_ptr(next)] {
    auto self = weak.lock();
    auto burst = std::make_shared<Burst>();
    counters_[key].asked += kBurst;
    for (size_t i = 0; i < kBurst; ++i) {
      Call(client, key, "add", 1,
           [this, client, key, self, burst, i, before = counters_[key]](auto* value) {
             auto& counter = counters_[key];
             if (value != nullptr && counter.life == before.life) {
               ++counter.done;
               burst->answers[i] = *value;
               counter.newest = std::max(counter.newest, *value);
               if (*value <= before.newest || *value > counter.asked) {
                 problem_(absl::StrCat(key, ": add answered ", *value, " after ", before.newest));
               }
             }
             if (--burst->open != 0) return;
             std::erase(burst->answers, 0u);
             if (counter.life == before.life &&
                 std::adjacent_find(burst->answers.begin(), burst->answers.end(),
                                    std::greater_equal<>()) != burst->answers.end()) {
               problem_(absl::StrCat(key, ": a burst's calls took effect out of order"));
             }
             Later(client, [self] { (*self)(); });
           });
    }
  };
  (*next)();
}

// ---- The end

uint64_t Workload::Read(const std::string& key) {
  uint64_t got = 0;
  bool answered = false;
  stopped_ = true;
  Call(kSecond, key, "get", 0, [&got, &answered](auto* value) {
    answered = value != nullptr;
    if (answered) got = *value;
  });
  cluster_.RunUntil([this] { return open_.empty(); }, absl::Seconds(60));
  if (!answered) problem_(absl::StrCat(key, ": cannot be read after healing"));
  return got;
}

void Workload::CheckCounter(const std::string& key, const Counter& counter) {
  const uint64_t value = Read(key);
  if (value >= counter.done && value >= counter.newest && value <= counter.asked) return;
  problem_(absl::StrCat(key, ": holds ", value, "; ", counter.done, " were answered, the newest ",
                        counter.newest, ", and ", counter.asked, " asked"));
}

void Workload::Check() {
  for (const auto& [key, counter] : std::map(counters_)) CheckCounter(key, counter);
  for (int i = 0; i < options_.registers; ++i) Read(Key("register", i));
}

void Workload::Forget(const std::set<ShardId>& shards) {
  auto map = cluster_.NewestMap();
  auto lost = [&](const std::string& key) {
    const ActorId actor{capnp::typeId<Cell>(), key};
    return shards.contains(ShardOf(actor, *map));
  };
  for (auto& [key, counter] : counters_) {
    if (lost(key)) counter = Counter{++lives_[key], 0, 0, 0};
  }
  for (int i = 0; i < options_.registers; ++i) {
    if (lost(Key("register", i))) ++lives_[Key("register", i)];
  }
}

std::string Workload::DescribeOpen() {
  std::string out = absl::StrCat(open_.size(), " calls are open, ", loops_, " loops go on");
  size_t said = 0;
  for (const auto& [id, open] : open_) {
    if (++said > kDescribedMax) break;
    absl::StrAppend(&out, "\n  ", open.client, " waits for ", open.call, " at ", open.object, " (",
                    cluster_.PrimaryOf({capnp::typeId<Cell>(), open.object}), ") since ",
                    absl::FormatDuration(cluster_.world().Now() - open.since));
  }
  return out;
}

}  // namespace troupe::sim
